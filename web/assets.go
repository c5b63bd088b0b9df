package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

// assets are the files that pages need, by the name that they are served
// under: with a part of their hash in it, so that they may be kept for ever.
type assets struct {
	files  map[string]asset
	served map[string]string // name in the folder → name in the URL
}

type asset struct {
	kind string
	body []byte
}

func loadAssets() (assets, error) {
	as := assets{files: map[string]asset{}, served: map[string]string{}}
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		return as, fmt.Errorf("list assets: %w", err)
	}
	// Fonts first: the style sheet names them as they are served.
	for _, styles := range []bool{false, true} {
		for _, e := range entries {
			kind, ok := kinds[path.Ext(e.Name())]
			if !ok || styles != (path.Ext(e.Name()) == ".css") {
				continue
			}
			b, err := assetFiles.ReadFile("assets/" + e.Name())
			if err != nil {
				return as, fmt.Errorf("read asset: %w", err)
			}
			as.add(e.Name(), kind, b)
		}
	}
	return as, nil
}

func (as assets) add(name, kind string, body []byte) {
	if strings.HasPrefix(kind, "text/css") {
		for plain, served := range as.served {
			body = []byte(strings.ReplaceAll(string(body), "url("+plain+")", "url("+served+")"))
		}
	}
	sum := sha256.Sum256(body)
	ext := path.Ext(name)
	served := strings.TrimSuffix(name, ext) + "-" + hex.EncodeToString(sum[:6]) + ext
	as.served[name] = served
	as.files[served] = asset{kind: kind, body: body}
}

// url returns where an asset is served.
func (as assets) url(name string) (string, error) {
	served, ok := as.served[name]
	if !ok {
		return "", fmt.Errorf("no asset %q", name)
	}
	return "/assets/" + served, nil
}

func (h *Handler) asset(w http.ResponseWriter, r *http.Request) error {
	a, ok := h.assets.files[r.PathValue("name")]
	if !ok {
		return notFound("there is no such file")
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	write(w, http.StatusOK, a.kind, a.body)
	return nil
}
