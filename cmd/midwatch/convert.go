package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/slo/source"
)

func convertCommand() *cobra.Command {
	var out string
	var force bool
	c := &cobra.Command{
		Use:   "convert PATH…",
		Short: "write SLO files of other tools as Midwatch's",
		Long: `Reads SLO files of OpenSLO, Sloth and Pyrra, and folders of them, and writes
their SLOs in Midwatch's own format: each file's to a file of the same name, or
all of them to standard output. A comment says where each SLO came from. Files
that are in Midwatch's format already are written as they are.

The SLOs are those that "midwatch compile" makes rules of when it reads the
files themselves. Nothing is written unless everything can be carried over:
what cannot be is a problem that names its field.

Exit code 0: written; 1: an SLO is not valid or cannot be carried over, or a
file cannot be written; 2: called wrongly.`,
		Example: "  midwatch convert sloth/payments.yaml\n  midwatch convert --out slo/ sloth/ pyrra/",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			if out == "" {
				return usageError{errors.New("--out is empty: name the folder to write to, or - for standard output")}
			}
			files, slos, err := convert(paths)
			if err != nil {
				return err
			}
			if out == "-" {
				return printFiles(cmd.OutOrStdout(), files)
			}
			if err := writeFiles(out, files, force); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s of %s written to %s\n", count(slos, "SLO"), count(len(files), "file"), out)
			return err
		},
	}
	c.Flags().StringVar(&out, "out", "-", "folder to write to, which is made if there is none, or - for standard output")
	c.Flags().BoolVar(&force, "force", false, "overwrite files of the folder that hold something else")
	_ = c.MarkFlagDirname("out") // it fails only for a flag that is not there
	return c
}

// converted is a file to write.
type converted struct {
	name    string // below the folder
	from    string
	content []byte
}

// convert reads files and returns those that hold their SLOs in the native
// format.
func convert(paths []string) ([]converted, int, error) {
	content := source.Read(paths)
	if err := content.Problems.Err(); err != nil {
		return nil, 0, err
	}
	if len(content.SLOs) == 0 {
		_, err := source.Load(paths)
		return nil, 0, err // it says that there is none
	}
	var files []converted
	for of := range slices.Values(byFile(content.SLOs)) {
		f, err := convertFile(of)
		if err != nil {
			return nil, 0, err
		}
		f.name = below(paths, f.from)
		if i := slices.IndexFunc(files, func(other converted) bool { return other.name == f.name }); i >= 0 {
			return nil, 0, fmt.Errorf("%s and %s would both be written to %s: convert them to different folders", files[i].from, f.from, f.name)
		}
		files = append(files, f)
	}
	return files, len(content.SLOs), nil
}

// byFile returns SLOs, which are in the order of their files, by them.
func byFile(slos []source.SLO) (files [][]source.SLO) {
	for i, s := range slos {
		if i == 0 || slos[i-1].File != s.File {
			files = append(files, nil)
		}
		files[len(files)-1] = append(files[len(files)-1], s)
	}
	return files
}

// convertFile writes the SLOs of one file. One with nothing of other tools in
// it stays as its author wrote it.
func convertFile(slos []source.SLO) (converted, error) {
	f := converted{from: slos[0].File}
	if !slices.ContainsFunc(slos, func(s source.SLO) bool { return s.Format != "" }) {
		content, err := os.ReadFile(f.from)
		f.content = content
		return f, err
	}
	var b bytes.Buffer
	for i, s := range slos {
		if i > 0 {
			b.WriteString("---\n")
		}
		doc, err := s.YAML()
		if err != nil {
			return f, err
		}
		b.Write(doc)
	}
	f.content = b.Bytes()
	return f, nil
}

// below returns the name of a file below the folder that it was found in.
func below(paths []string, file string) string {
	for _, path := range paths {
		if rel, err := filepath.Rel(path, file); err == nil && rel != "." && filepath.IsLocal(rel) {
			return rel
		}
	}
	return filepath.Base(file)
}

func printFiles(w io.Writer, files []converted) error {
	for i, f := range files {
		content := f.content
		if !bytes.HasSuffix(content, []byte("\n")) {
			content = append(slices.Clip(content), '\n')
		}
		if i > 0 {
			content = append([]byte("---\n"), content...)
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
	}
	return nil
}

// writeFiles writes files to a folder, each whole. None is written where one
// would take the place of something else.
func writeFiles(dir string, files []converted, force bool) error {
	var taken []string
	for _, f := range files {
		there, err := os.ReadFile(filepath.Join(dir, f.name))
		if !errors.Is(err, os.ErrNotExist) && !bytes.Equal(there, f.content) && !force {
			taken = append(taken, filepath.Join(dir, f.name))
		}
	}
	if len(taken) > 0 {
		return fmt.Errorf("convert: %s: there is something else already; --force overwrites it", strings.Join(taken, ", "))
	}
	for _, f := range files {
		if err := writeWhole(filepath.Join(dir, f.name), f.content); err != nil {
			return fmt.Errorf("convert: %w", err)
		}
	}
	return nil
}

// writeWhole writes a file whole or not at all.
func writeWhole(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), ".midwatch-convert-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(content)
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Close())
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), name)
}
