//go:build race

package incident_test

// raced: under the race detector, SQLite runs some thirty times slower.
const raced = true
