package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"path"
	"strings"

	"github.com/prometheus/prometheus/model/rulefmt"
)

// partBytes is from how many bytes on the rules of one service are in several
// files: then each fits into a ConfigMap or a PrometheusRule object, which may
// have a MiB, and a change of one SLO is a change of a small file. A group holds
// the rules of one SLO, or the parameters of some that are alike, so that it
// takes as long as these do, however many there are; the groups over all SLOs
// stay whole, since their rules read each other.
const partBytes = 512 << 10

// longestName is that of a file without its extension, in bytes: what every
// file system and a temporary name beside it have room for.
const longestName = 180

// Arranged returns the set as it is written: the files of large services in
// parts, and no two names that differ by their case alone.
func (s Set) Arranged() Set {
	var names []string
	for _, f := range s.Files {
		names = append(names, f.Name)
	}
	clash := clashes(names)
	var out Set
	for _, f := range s.Files {
		out.Files = append(out.Files, f.arranged(clash)...)
	}
	return out
}

// arranged returns the file as it is written.
func (f File) arranged(clash map[string]bool) []File {
	folder, name := path.Split(f.Name)
	base := strings.TrimSuffix(name, extension)
	if clash[strings.ToLower(f.Name)] || len(base) > longestName {
		f.Name = folder + base[:min(len(base), longestName)] + "~" + shortHash(f.Name) + extension
	}
	return f.parts()
}

// clashes returns the names, in lower case, that several have.
func clashes(names []string) map[string]bool {
	seen := map[string]bool{} // whether it was seen twice
	for _, name := range names {
		lower := strings.ToLower(name)
		_, before := seen[lower]
		seen[lower] = before
	}
	return seen
}

const extension = ".yaml"

// shortHash tells texts apart that would look the same.
func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// servicePrefix begins the names of the files of services.
const servicePrefix = prefix + "slo-"

// parts returns the file, or several where it is large: midwatch-slo-A.yaml,
// midwatch-slo2-A.yaml and so on. In which of them an SLO is depends on its
// name and on how many there are, a power of two, so that another SLO does not
// move those that are there.
func (f File) parts() []File {
	service, ok := strings.CutPrefix(f.Name, servicePrefix)
	if !ok {
		return []File{f}
	}
	for n := 1; ; n *= 2 {
		parts := f.distribute(n)
		fits := true
		for _, p := range parts {
			fits = fits && (size(p.Groups) <= partBytes || single(p.Groups))
		}
		if !fits {
			continue
		}
		for i := range parts {
			if n > 1 && i > 0 {
				parts[i].Name = fmt.Sprintf("%sslo%d-%s", prefix, i+1, service)
			}
		}
		return filled(parts)
	}
}

func filled(parts []File) (out []File) {
	for _, p := range parts {
		if len(p.Groups) > 0 {
			out = append(out, p)
		}
	}
	return out
}

// distribute returns the file's groups in n files, those of an SLO together,
// and parameters of SLOs that are alike with the first of these.
func (f File) distribute(n int) []File {
	parts := make([]File, n)
	for i := range parts {
		parts[i].Name = f.Name
	}
	if n == 1 {
		parts[0].Groups = f.Groups
		return parts
	}
	for _, g := range f.Groups {
		h := fnv.New32a()
		_, _ = h.Write([]byte(sloOf(g))) // it never fails
		p := &parts[mix(h.Sum32())%uint32(n)]
		p.Groups = append(p.Groups, g)
	}
	return parts
}

// mix spreads a hash over its low bits.
func mix(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x7feb352d
	h ^= h >> 15
	return h
}

// sloOf returns "service/name" of a group of one SLO, and of the first of some
// that are alike; "" of one of all SLOs.
func sloOf(g rulefmt.RuleGroup) string {
	_, id, _ := strings.Cut(g.Name, "/")
	return id
}

// single says whether all groups are of one SLO.
func single(groups []rulefmt.RuleGroup) bool {
	for _, g := range groups {
		if sloOf(g) != sloOf(groups[0]) {
			return false
		}
	}
	return true
}

// size returns about how many bytes groups take when they are written.
func size(groups []rulefmt.RuleGroup) int {
	n := 0
	for _, g := range groups {
		n += len(g.Name) + 60
		for _, r := range g.Rules {
			n += len(r.Record) + len(r.Alert) + len(r.Expr) + 10*strings.Count(r.Expr, "\n") + 60
			for k, v := range r.Labels {
				n += len(k) + len(v) + 15
			}
			for k, v := range r.Annotations {
				n += len(k) + len(v) + 15
			}
		}
	}
	return n
}
