package servers

import "syscall"

// childAttributes makes a child end with its parent, and keeps the
// terminal's Ctrl-C from it: whoever started it stops it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
