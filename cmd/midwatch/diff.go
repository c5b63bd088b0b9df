package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/rules/compare"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/source"
)

// gitTimeout bounds how long Git may take to say what was.
const gitTimeout = 30 * time.Second

// diffFlags say what is compared, and how it is shown.
type diffFlags struct {
	git, output      string
	verbose          bool
	interval, scrape duration
}

func diffCommand() *cobra.Command {
	f := &diffFlags{interval: duration(30 * time.Second), scrape: duration(15 * time.Second)}
	c := &cobra.Command{
		Use:   "diff {OLD NEW | --git REV PATH…}",
		Short: "say what a change of SLO files changes, and who gets woken",
		Long: `Compares SLO files, or folders of them: which SLOs come, go, change and are
renamed; field by field what is different in them; which recorded series begin
anew; how many rules change; and who gets woken at which error rate, after how
long, before and after. Pages that nobody would get any more come first.

With --git, old is what the paths hold in a revision, and new what they hold
now.

Exit code 0: nothing changes; 1: something does; 2: it could not be compared,
or was called wrongly. They are those of diff(1).`,
		Example: "  midwatch diff old/ slo/\n  midwatch diff --git main slo/\n  midwatch diff --git HEAD~1 -v slo/payments.yaml",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case f.git == "" && len(args) != 2:
				return fmt.Errorf("want two paths, OLD and NEW, or --git; got %d", len(args))
			case f.git != "" && len(args) == 0:
				return errors.New("--git wants the paths to compare")
			}
			return nil
		},
		RunE: f.run,
	}
	outputFlag(c, &f.output)
	c.Flags().StringVar(&f.git, "git", "", "revision to compare with, such as main or HEAD~1")
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "the rules too, as a unified diff")
	c.Flags().Var(&f.interval, "interval", "how often the rules are evaluated")
	c.Flags().Var(&f.scrape, "scrape-interval", "how often Prometheus scrapes what the SLOs count")
	return c
}

func (f *diffFlags) run(cmd *cobra.Command, args []string) error {
	d, err := f.compare(cmd.Context(), args)
	if err != nil {
		return troubled(cmd.ErrOrStderr(), err)
	}
	if f.output == "json" {
		err = writeJSON(cmd.OutOrStdout(), d)
	} else {
		err = writeDiff(cmd.OutOrStdout(), palette(cmd), d, f.verbose)
	}
	if err == nil && !d.Nothing() {
		return errReported
	}
	return err
}

// troubled prints an error and makes the exit code that of trouble, as
// diff(1) has it.
func troubled(w io.Writer, err error) error {
	if problems, ok := diag.Of(err); ok {
		_ = problems.Print(w)
	} else {
		fmt.Fprintf(w, "midwatch: %v\n", err)
	}
	return exitCode(exitUsage)
}

func (f *diffFlags) compare(ctx context.Context, args []string) (compare.Diff, error) {
	var before, after []slo.SLO
	var err error
	if f.git != "" {
		if before, err = revision(ctx, f.git, args); err != nil {
			return compare.Diff{}, err
		}
		after, err = source.Load(present(args))
	} else {
		if before, err = source.Load(args[:1]); err != nil {
			return compare.Diff{}, err
		}
		after, err = source.Load(args[1:])
	}
	if err != nil {
		return compare.Diff{}, err
	}
	return compare.SLOs(before, after, rules.Options{Interval: time.Duration(f.interval), ScrapeInterval: time.Duration(f.scrape)})
}

// present returns the paths that there are, or all when there is none.
func present(paths []string) (found []string) {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		return paths
	}
	return found
}

// revision returns the SLOs that paths held in a revision of the repository
// around the working folder.
func revision(ctx context.Context, rev string, paths []string) ([]slo.SLO, error) {
	if strings.HasPrefix(rev, "-") {
		return nil, fmt.Errorf("%q is no revision", rev)
	}
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	var held []string
	for _, path := range paths {
		listed, err := git(ctx, "ls-tree", "-r", "--name-only", rev, "--", path)
		if err != nil {
			return nil, err
		}
		if len(listed) > 0 {
			held = append(held, path)
		}
	}
	if len(held) == 0 {
		return nil, nil
	}
	archive, err := git(ctx, append([]string{"archive", "--format=tar", rev, "--"}, held...)...)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "midwatch-diff-")
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", rev, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := unpack(archive, dir); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", rev, err)
	}
	slos, err := source.Load([]string{dir})
	return slos, fromRevision(err, dir, rev)
}

// fromRevision names the files of problems as Git does, such as main:slo/a.yaml.
func fromRevision(err error, dir, rev string) error {
	problems, ok := diag.Of(err)
	if !ok {
		return err
	}
	for i := range problems {
		problems[i].File = rev + ":" + strings.TrimPrefix(strings.TrimPrefix(problems[i].File, dir), "/")
	}
	return problems
}

func git(ctx context.Context, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, "git", args...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, plain(strings.TrimSpace(stderr.String())))
	}
	return out, nil
}

// maxUnpacked bounds what is unpacked of a revision.
const maxUnpacked = 256 << 20

// unpack writes the regular files of an archive below a folder.
func unpack(archive []byte, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	reader := tar.NewReader(io.LimitReader(bytes.NewReader(archive), maxUnpacked))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			return err
		}
		if err := root.MkdirAll(filepath.Dir(header.Name), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(header.Name, content, 0o600); err != nil {
			return err
		}
	}
}
