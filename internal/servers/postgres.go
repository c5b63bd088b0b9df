package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresSpec says how to run a PostgreSQL.
type PostgresSpec struct {
	Dir      string   // for data and log; it is created. A data folder that is there already is served again
	Listen   string   // address; "" is a free one on loopback
	Password string   // of the user postgres; "" is a random one
	Settings []string // such as "fsync=off", which is on by default as in production
}

// Postgres is a running PostgreSQL, whose only user is postgres.
type Postgres struct {
	*Process
	url url.URL
}

// StartPostgres runs the PostgreSQL that the system has installed, and waits
// until it answers, which takes it a second or two. It refuses to run as root:
// called by root, it runs as the user postgres, or nobody.
func StartPostgres(ctx context.Context, spec PostgresSpec) (*Postgres, error) {
	p, err := startPostgres(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("start postgresql: %w", err)
	}
	return p, nil
}

func startPostgres(ctx context.Context, spec PostgresSpec) (*Postgres, error) {
	programs, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(spec.Dir)
	if err != nil {
		return nil, err
	}
	addr, err := orFree(spec.Listen)
	if err != nil {
		return nil, err
	}
	if spec.Password == "" {
		spec.Password = rand.Text()
	}
	if err := letIn(dir, as); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); errors.Is(err, os.ErrNotExist) {
		if err := initdb(ctx, programs, data, spec.Password, as); err != nil {
			return nil, err
		}
	}
	p := &Postgres{url: url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", spec.Password), Host: addr, Path: "/postgres", RawQuery: "sslmode=disable",
	}}
	p.Process, err = outlive(ctx, Spec{
		Name: "postgresql", Path: filepath.Join(programs, "postgres"), Args: postgresArgs(data, addr, spec.Settings), Dir: dir, As: as,
		LogFile: filepath.Join(dir, "postgresql.log"), Answers: p.answers, StopSignal: syscall.SIGINT,
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// outlive starts the server. Where one was killed just now, its children take
// a moment to see that, and until then hold on to the data.
func outlive(ctx context.Context, spec Spec) (*Process, error) {
	for deadline := time.Now().Add(10 * time.Second); ; {
		p, err := Start(ctx, spec)
		if err == nil || !strings.Contains(err.Error(), "pre-existing shared memory block") || time.Now().After(deadline) {
			return p, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func postgresArgs(data, addr string, settings []string) []string {
	host, port, _ := net.SplitHostPort(addr) // FreeAddr's, else PostgreSQL complains
	args := []string{
		"-D", data, "-h", host, "-p", port, "-c", "unix_socket_directories=",
		"-c", "dynamic_shared_memory_type=mmap", // one that is killed leaves nothing outside its folder
	}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return args
}

// postgresPrograms returns the folder of initdb and postgres. Debian keeps
// them out of the path, in a folder for each version.
func postgresPrograms() (string, error) {
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(folders, func(a, b string) int { return version(b) - version(a) })
	for _, f := range append(folders, filepath.SplitList(os.Getenv("PATH"))...) {
		if _, err := exec.LookPath(filepath.Join(f, "initdb")); err == nil {
			if _, err := exec.LookPath(filepath.Join(f, "postgres")); err == nil {
				return f, nil
			}
		}
	}
	return "", errors.New(`it is not installed: run "apt-get install postgresql"`)
}

// version returns the 15 of /usr/lib/postgresql/15/bin, 0 when it is none.
func version(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return n
}

// unprivileged returns whom PostgreSQL runs as: the caller (nil), unless that
// is root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nil is the caller.
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("it does not run as root, and there is neither a user postgres nor nobody: %w", err)
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(errUID, errGID); err != nil {
		return nil, fmt.Errorf("user %s: %w", u.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// letIn makes the folder and gives it to the user. The folders of tests are
// closed to all others: those above it are opened to pass through, as long as
// they are temporary.
func letIn(dir string, as *syscall.Credential) error {
	if err := os.MkdirAll(dir, 0o755); err != nil || as == nil {
		return err
	}
	if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
		return err
	}
	temp := filepath.Clean(os.TempDir()) + string(filepath.Separator)
	for up := filepath.Dir(dir); up != filepath.Dir(up); up = filepath.Dir(up) {
		info, err := os.Stat(up)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 != 0 {
			continue
		}
		if !strings.HasPrefix(up, temp) {
			return fmt.Errorf("user %d, which it runs as, may not pass through %s: take another folder", as.Uid, up)
		}
		if err := os.Chmod(up, info.Mode().Perm()|0o011); err != nil {
			return err
		}
	}
	return nil
}

// initdb makes the data folder. It is not synced: the server syncs it before
// it answers.
func initdb(ctx context.Context, programs, data, password string, as *syscall.Credential) error {
	secret, err := os.CreateTemp(filepath.Dir(data), "password-")
	if err != nil {
		return err
	}
	defer os.Remove(secret.Name())
	_, err = secret.WriteString(password)
	if err = errors.Join(err, secret.Close()); err != nil {
		return err
	}
	if as != nil {
		if err := os.Chown(secret.Name(), int(as.Uid), int(as.Gid)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "initdb"), "--pgdata", data, "--username=postgres", "--pwfile", secret.Name(),
		"--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
	cmd.Dir = filepath.Dir(data)
	cmd.SysProcAttr = childAttributes()
	cmd.SysProcAttr.Credential = as
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (p *Postgres) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return p.exec(ctx, "SELECT 1") == nil
}

func (p *Postgres) exec(ctx context.Context, query string) error {
	c, err := pgx.Connect(ctx, p.url.String())
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, query)
	return errors.Join(err, c.Close(ctx))
}

// CreateDatabase makes an empty database and returns its URL, which holds the
// password.
func (p *Postgres) CreateDatabase(ctx context.Context, name string) (string, error) {
	if err := p.exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", fmt.Errorf("create database %s: %w", name, err)
	}
	u := p.url
	u.Path = "/" + name
	return u.String(), nil
}

// Discard ends the server without regard to its data, which takes no time: for
// one that is of no more use.
func (p *Postgres) Discard() error { return p.end(syscall.SIGQUIT) }

// URL returns that of the database postgres, which every PostgreSQL has; it
// holds the password.
func (p *Postgres) URL() string { return p.url.String() }
