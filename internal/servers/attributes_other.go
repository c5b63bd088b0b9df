//go:build !linux

package servers

import "syscall"

// childAttributes keeps the terminal's Ctrl-C from a child.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// EndWithParent does nothing where there is no such signal.
func EndWithParent() {}
