package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/app"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/store"
)

// progressEvery is how often long work says how far it is.
const progressEvery = 2 * time.Second

func backupCommand() *cobra.Command {
	var config, out string
	c := &cobra.Command{
		Use:   "backup --out FILE",
		Short: "write all state to a file, also while Midwatch serves",
		Long: `Writes incidents, alerts, pages, silences, overrides, drills and the audit, as
they are at one moment, to a file that "midwatch restore" reads into either kind
of database. Midwatch may serve meanwhile. The file is made for this and holds
people's addresses: only its owner can read it. --out - writes to standard
output.

With SQLite it first copies the database to a temporary file beside the backup
(in the folder for temporary files for --out -), which is then gone; nothing is
written to the database itself. A PostgreSQL database is brought up to date by a
newer midwatch, as at every start: back up with the version that serves.`,
		Example: `  midwatch backup --config midwatch.yaml --out midwatch-2026-11-21.backup
  midwatch backup --config midwatch.yaml --out - | ssh vault 'cat > midwatch.backup'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usageError{errors.New("--out FILE is needed; - is standard output")}
			}
			where, err := whereState(config)
			if err != nil {
				return err
			}
			return backup(cmd, where, out)
		},
	}
	configFlag(c, &config)
	c.Flags().StringVar(&out, "out", "", "file to write, which must not be there yet; - is standard output")
	return c
}

func configFlag(c *cobra.Command, config *string) {
	c.Flags().StringVar(config, "config", "midwatch.yaml", "configuration file")
	_ = c.MarkFlagFilename("config", "yaml", "yml") // it fails only for a flag that is not there
}

// whereState returns where a configuration file says that the state is.
func whereState(config string) (store.Config, error) {
	c, err := app.LoadConfig(config)
	if err != nil {
		return store.Config{}, err
	}
	return stateOf(c)
}

func stateOf(c app.Config) (store.Config, error) {
	if c.Store.URL.Empty() && c.Store.URLFile == "" {
		return store.Config{Path: c.Store.Path}, nil
	}
	url, err := secret.Resolve("store.url", c.Store.URL, c.Store.URLFile)
	return store.Config{URL: url.Reveal()}, err
}

func backup(cmd *cobra.Command, where store.Config, out string) error {
	if out == "-" {
		return backupTo(cmd, where, cmd.OutOrStdout(), os.TempDir())
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is there already: name another file, or remove it", out)
	case err != nil:
		return fmt.Errorf("make backup file: %w", err)
	}
	err = backupTo(cmd, where, f, filepath.Dir(out))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(out)) // half a backup is none
	}
	return nil
}

func backupTo(cmd *cobra.Command, where store.Config, w io.Writer, scratch string) error {
	ctx := cmd.Context()
	p := newProgress(cmd.ErrOrStderr(), "written")
	defer p.stop()
	s, done, err := openCopy(ctx, where, scratch)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	err = errors.Join(s.Backup(ctx, io.MultiWriter(w, p)), s.Close(), done())
	if err != nil {
		return err
	}
	p.stop()
	fmt.Fprintf(cmd.ErrOrStderr(), "backed up: %s\n", size(p.bytes.Load()))
	return nil
}

// openCopy opens a store for reading what it holds now, without getting in
// the way of who serves from it. What it says that is done must be called
// after the store is closed.
func openCopy(ctx context.Context, where store.Config, scratch string) (s *store.Store, done func() error, err error) {
	done = func() error { return nil }
	if where.Path != "" {
		dir, err := os.MkdirTemp(scratch, ".midwatch-copy-")
		if err != nil {
			return nil, nil, err
		}
		done = func() error { return os.RemoveAll(dir) }
		to := filepath.Join(dir, "midwatch.db")
		if err := copySQLite(ctx, where.Path, to); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("copy database: %w", err), done())
		}
		where.Path = to
	}
	if s, err = store.Open(ctx, where); err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return s, done, nil
}

func restoreCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "fill an empty database from a backup",
		Long: `Fills the database that the configuration names, which must be empty and which
no Midwatch may serve from, with what "midwatch backup" wrote, from either kind
of database: so one moves from SQLite to PostgreSQL and back. Whatever fails
leaves the database empty. Pages that were due when the backup was made are sent
when Midwatch starts. A FILE of - is standard input.`,
		Example: "  midwatch restore --config midwatch.yaml midwatch-2026-11-21.backup",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			where, err := whereState(config)
			if err != nil {
				return err
			}
			return restore(cmd, where, args[0])
		},
	}
	configFlag(c, &config)
	return c
}

func restore(cmd *cobra.Command, where store.Config, name string) error {
	from := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("open backup: %w", err)
		}
		defer f.Close()
		from = f
	}
	p := newProgress(cmd.ErrOrStderr(), "read")
	defer p.stop()
	err := store.Restore(cmd.Context(), where, io.TeeReader(from, p))
	switch {
	case errors.Is(err, store.ErrNotEmpty):
		return fmt.Errorf("%w: nothing was changed; name another database under store, or move this one away", err)
	case errors.Is(err, store.ErrInUse):
		return fmt.Errorf("restore: %w: stop it first", store.ErrInUse)
	case err != nil:
		return err
	}
	p.stop()
	to := where.Path
	if to == "" {
		to = "PostgreSQL"
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "restored %s into %s\n", size(p.bytes.Load()), to)
	return nil
}

// progress counts the bytes of long work, and says now and then how far it
// is.
type progress struct {
	bytes atomic.Int64
	end   chan struct{}
	ended chan struct{}
	once  atomic.Bool
}

func newProgress(w io.Writer, done string) *progress {
	p := &progress{end: make(chan struct{}), ended: make(chan struct{})}
	began := time.Now()
	go func() {
		defer close(p.ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-p.end:
				return
			case <-tick.C:
				fmt.Fprintf(w, "%s %s after %s\n", size(p.bytes.Load()), done, seconds(time.Since(began)))
			}
		}
	}()
	return p
}

// Write counts.
func (p *progress) Write(b []byte) (int, error) {
	p.bytes.Add(int64(len(b)))
	return len(b), nil
}

// stop ends the saying, the first time that it is called.
func (p *progress) stop() {
	if p.once.CompareAndSwap(false, true) {
		close(p.end)
		<-p.ended
	}
}

func size(bytes int64) string {
	switch {
	case bytes < 10<<10:
		return count(int(bytes), "byte")
	case bytes < 10<<20:
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}
