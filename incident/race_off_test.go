//go:build !race

package incident_test

const raced = false
