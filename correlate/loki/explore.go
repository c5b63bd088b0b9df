package loki

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
)

// pane is one side of Grafana's Explore, as its URLs describe it since
// Grafana 10 (schemaVersion 1).
type pane struct {
	Datasource string      `json:"datasource"`
	Queries    []paneQuery `json:"queries"`
	Range      paneRange   `json:"range"`
}

type paneQuery struct {
	RefID      string         `json:"refId"`
	Expr       string         `json:"expr"`
	QueryType  string         `json:"queryType"`
	Datasource paneDatasource `json:"datasource"`
}

type paneDatasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type paneRange struct {
	From string `json:"from"` // milliseconds since 1970
	To   string `json:"to"`
}

// explore returns a link to the queries in Grafana, "" without Grafana.
func (c *Config) explore(queries []string, w window) string {
	if c.GrafanaURL == "" {
		return ""
	}
	p := pane{
		Datasource: c.GrafanaDatasource,
		Range: paneRange{
			From: strconv.FormatInt(w.from.UnixMilli(), 10),
			To:   strconv.FormatInt(w.to.UnixMilli(), 10),
		},
	}
	for i, q := range queries {
		p.Queries = append(p.Queries, paneQuery{
			RefID: string(rune('A' + i)), Expr: q, QueryType: "range",
			Datasource: paneDatasource{Type: "loki", UID: c.GrafanaDatasource},
		})
	}
	panes, err := json.Marshal(map[string]pane{"logs": p})
	if err != nil {
		return ""
	}
	values := url.Values{"schemaVersion": {"1"}, "panes": {string(panes)}}
	return strings.TrimRight(c.GrafanaURL, "/") + "/explore?" + values.Encode()
}
