package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// measured returns the processes whose memory is measured.
func (w *world) measured() map[string]*peer {
	all := map[string]*peer{midwatch: w.midwatch}
	if w.flat != nil {
		all[flat], all[distributed] = w.flat, w.distributed
	}
	return all
}

// forgetPeaks makes the kernel count the most memory that was resident anew.
func (w *world) forgetPeaks() error {
	for name, p := range w.measured() {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.PID()), []byte("5"), 0); err != nil {
			return fmt.Errorf("measure memory of %s: %w", name, err)
		}
	}
	return nil
}

// readPeaks reads the most memory that was resident since, in MiB.
func (w *world) readPeaks(into map[string]float64) error {
	for name, p := range w.measured() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
		if err != nil {
			return fmt.Errorf("measure memory of %s: %w", name, err)
		}
		_, rest, found := strings.Cut(string(text), "\nVmHWM:")
		fields := strings.Fields(rest)
		if !found || len(fields) == 0 {
			return fmt.Errorf("measure memory of %s: the kernel does not tell it", name)
		}
		kib, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return fmt.Errorf("measure memory of %s: %w", name, err)
		}
		into[name] = kib / 1024
	}
	return nil
}
