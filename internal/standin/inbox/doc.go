// Package inbox is a mail server that keeps what it is sent and shows it on a
// page: the receiving side of pages in tests and in the demonstration. It
// relays nothing, and nothing it holds outlives the process.
package inbox
