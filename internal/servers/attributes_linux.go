package servers

import "syscall"

// childAttributes makes a child end with its parent, and keeps the
// terminal's Ctrl-C from it: whoever started it stops it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// EndWithParent makes this process get SIGTERM when the one that started it
// ends, however it ends: "go run" that is killed takes its program along.
// Call it from main, whose thread lives as long as the process.
func EndWithParent() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0) // fails for no signal that there is
}
