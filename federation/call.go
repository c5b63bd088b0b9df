package federation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Get puts a question to one server of a cluster, by the index of its URL, at
// a path below /api/v1. It returns whatever the server answers with status
// 200; the error says for people why there is no such answer, without URLs,
// credentials or bytes from outside.
func (f *Federation) Get(ctx context.Context, name string, index int, path string, form url.Values) (*http.Response, error) {
	for _, c := range f.clusters {
		if c.name != name || index < 0 || index >= len(c.replicas) {
			continue
		}
		resp, err := c.replicas[index].ask(ctx, path, form)
		if err != nil {
			return nil, errors.New(cause(inTime(ctx, err), c.timeout))
		}
		if resp.StatusCode != http.StatusOK {
			resp.Body.Close()
			return nil, statusError(resp.StatusCode)
		}
		return resp, nil
	}
	return nil, fmt.Errorf("there is no server %d of a cluster %q", index, name)
}
