package federation

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxConfigBytes bounds the configuration that a server tells.
const maxConfigBytes = 32 << 20

// parseIdentity returns the external labels in an answer of
// /api/v1/status/config; the map is never nil without an error.
func parseIdentity(body []byte) (map[string]string, error) {
	var answer struct {
		Data struct {
			YAML string `json:"yaml"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	var config struct {
		Global *struct {
			ExternalLabels map[string]string `yaml:"external_labels"`
		} `yaml:"global"`
	}
	if err := yaml.Unmarshal([]byte(answer.Data.YAML), &config); err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if config.Global == nil {
		return nil, errors.New("read configuration: it has no section global")
	}
	own := map[string]string{}
	for name, value := range config.Global.ExternalLabels {
		if name == "" || !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, errors.New("read configuration: an external label is not valid")
		}
		if value != "" {
			own[name] = value
		}
	}
	return own, nil
}
