// Package layers keeps the structure of the repository as its design draws
// it: which package may import which, and that each says what it is. It has
// only a test.
package layers
