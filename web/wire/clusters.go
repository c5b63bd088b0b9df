package wire

import "time"

// What is known of a cluster or a server, as Prometheus says it of targets.
const (
	HealthUp      = "up"
	HealthDown    = "down"
	HealthUnknown = "unknown" // not found out yet
)

// ClusterStatus says which clusters answer.
type ClusterStatus struct {
	Clusters []Cluster `json:"clusters"` // in the order of the configuration
}

// Cluster says whether a cluster answers: whether one of its servers does.
type Cluster struct {
	Name   string            `json:"name"`
	Health string            `json:"health"`
	Since  time.Time         `json:"since,omitzero"`  // that it is so
	Cause  string            `json:"cause,omitempty"` // why it is down
	Labels map[string]string `json:"labels"`          // external labels, as configured
	// Doubt says why answers may lack data though the cluster is up: one replica
	// answers alone, and what it is known to lack of the last day.
	Doubt      string          `json:"doubt,omitempty"`
	DoubtSince time.Time       `json:"doubt_since,omitzero"`
	Replicas   []ClusterServer `json:"replicas"`
}

// ClusterServer is one server of a cluster.
type ClusterServer struct {
	URL        string            `json:"url"` // without credentials
	Health     string            `json:"health"`
	Since      time.Time         `json:"since,omitzero"`
	Cause      string            `json:"cause,omitempty"`
	Asked      bool              `json:"asked"`                 // whether queries are sent to it
	Backend    string            `json:"backend,omitempty"`     // Prometheus, Thanos, Mimir or VictoriaMetrics
	Version    string            `json:"version,omitempty"`     // as it says
	Evaluates  string            `json:"evaluates"`             // everything, selectors or nothing
	RemoteRead bool              `json:"remote_read"`           // whether raw samples come by it
	Labels     map[string]string `json:"labels,omitempty"`      // its own external labels, where it tells them
	Differs    []string          `json:"differences,omitempty"` // of them from the configuration, a sentence each
	// Lacks are the times of the last day that another replica has data of and
	// this one has not, the newest first.
	Lacks     []Gap `json:"lacks,omitempty"`
	LacksMore int   `json:"lacks_more,omitempty"` // how many more there are
	// Misses are targets that another replica finds up, and this one does not
	// scrape or finds down.
	Misses      []string  `json:"misses,omitempty"`
	MissesMore  int       `json:"misses_more,omitempty"` // how many more there are
	MissesSince time.Time `json:"misses_since,omitzero"`
}

// Gap is a time without data.
type Gap struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to,omitzero"` // absent: it goes on
}
