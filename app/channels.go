package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/notifiers"
	"github.com/midwatch-slo/midwatch/notifiers/dingtalk"
	"github.com/midwatch-slo/midwatch/notifiers/email"
	"github.com/midwatch-slo/midwatch/notifiers/feishu"
	"github.com/midwatch-slo/midwatch/notifiers/slack"
	"github.com/midwatch-slo/midwatch/notifiers/webhook"
	"github.com/midwatch-slo/midwatch/notifiers/wecom"
)

// Channels are the ways to send pages, by the names that contacts use.
type Channels map[string]Channel

// Channel is one way to send pages: what the key type says that it is, and
// the configuration of that.
type Channel struct {
	Kind   string
	config any // a pointer to the kind's own configuration
}

// opening is what a channel is opened with beside its own configuration.
type opening struct {
	name   string
	logger *slog.Logger
}

// kind is one kind of channel.
type kind struct {
	config func() any
	open   func(config any, o opening) (notifiers.Notifier, error)
	atOnce int // sends at once; 0 is the engine's default
}

// kindOf returns the kind of a name.
func kindOf(name string) (k kind, ok bool) {
	switch name {
	case "wecom":
		return of(func(c *wecom.Config, o opening) (notifiers.Notifier, error) {
			c.Name, c.Logger = o.name, o.logger
			return wecom.New(*c)
		}), true
	case "wecom_robot":
		return of(func(c *wecom.RobotConfig, o opening) (notifiers.Notifier, error) {
			c.Name, c.Logger = o.name, o.logger
			return wecom.NewRobot(*c)
		}), true
	case "dingtalk":
		return of(func(c *dingtalk.Config, o opening) (notifiers.Notifier, error) {
			c.Name, c.Logger = o.name, o.logger
			return dingtalk.New(*c)
		}), true
	case "feishu":
		return of(func(c *feishu.Config, o opening) (notifiers.Notifier, error) {
			c.Name, c.Logger = o.name, o.logger
			return feishu.New(*c)
		}), true
	case "slack":
		return of(func(c *slack.Config, o opening) (notifiers.Notifier, error) {
			c.Name, c.Logger = o.name, o.logger
			return slack.New(*c)
		}), true
	case "email":
		return of(func(c *email.Config, o opening) (notifiers.Notifier, error) {
			c.Name, c.Logger = o.name, o.logger
			return email.New(*c)
		}), true
	case "webhook":
		k := of(func(c *webhook.Config, o opening) (notifiers.Notifier, error) {
			c.Name, c.Logger = o.name, o.logger
			return webhook.New(*c)
		})
		k.atOnce = 64 // a machine answers
		return k, true
	}
	return kind{}, false
}

// kindNames are the kinds that there are.
func kindNames() []string {
	return []string{"wecom", "wecom_robot", "dingtalk", "feishu", "slack", "email", "webhook"}
}

func of[C any](open func(*C, opening) (notifiers.Notifier, error)) kind {
	return kind{
		config: func() any { return new(C) },
		open: func(config any, o opening) (notifiers.Notifier, error) {
			c, ok := config.(*C)
			if !ok {
				return nil, fmt.Errorf("channel %s: its configuration is a %T", o.name, config)
			}
			return open(c, o)
		},
	}
}

// readChannels decodes the channels of a configuration.
func readChannels(f *yamldoc.File, raw map[string]yamldoc.Raw) (Channels, diag.Problems) {
	channels := Channels{}
	var problems diag.Problems
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		ch, found := readChannel(f, name, raw[name].Node)
		problems = append(problems, found...)
		if len(found) == 0 {
			channels[name] = ch
		}
	}
	return channels, problems
}

func readChannel(f *yamldoc.File, name string, n *yaml.Node) (Channel, diag.Problems) {
	field := "notifiers." + name
	if n == nil || n.Kind != yaml.MappingNode {
		return Channel{}, diag.Problems{f.At(yamldoc.Lookup(f.Docs[0], field), field, "want a mapping", "the settings of the channel")}
	}
	of, rest := typeOf(name, n)
	k, ok := kindOf(of)
	if !ok {
		return Channel{}, diag.Problems{f.At(n, field, fmt.Sprintf("%q is no kind of channel", of), "name it, or give it a type, of "+strings.Join(kindNames(), ", "))}
	}
	config := k.config()
	problems := f.DecodeAt(rest, field, config)
	return Channel{Kind: of, config: config}, problems
}

// typeOf returns what a channel is, its name when it does not say, and its
// settings without that.
func typeOf(name string, n *yaml.Node) (of string, rest *yaml.Node) {
	of, settings := name, *n
	settings.Content = nil
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "type" {
			of = n.Content[i+1].Value
			continue
		}
		settings.Content = append(settings.Content, n.Content[i], n.Content[i+1])
	}
	return of, &settings
}

// open opens every channel. The errors are by the channels' names.
func (c Channels) open(log *slog.Logger) (map[string]notifiers.Notifier, map[string]error) {
	opened, wrong := map[string]notifiers.Notifier{}, map[string]error{}
	for name, ch := range c {
		k, ok := kindOf(ch.Kind)
		if !ok {
			wrong[name] = errors.New("no such kind of channel")
			continue
		}
		n, err := k.open(ch.config, opening{name: name, logger: log.With("component", name)})
		if err != nil {
			wrong[name] = err
			continue
		}
		opened[name] = n
	}
	return opened, wrong
}

// atOnce returns how many sends may go through a channel at once; 0 is the
// engine's default.
func (c Channels) atOnce(name string) int {
	k, _ := kindOf(c[name].Kind)
	return k.atOnce
}

// inherit lets a channel take over what that of the same name has learned of
// its provider.
func inherit(now, before notifiers.Notifier) {
	switch n := now.(type) {
	case *wecom.Notifier:
		pass(n.Inherit, before)
	case *wecom.Robot:
		pass(n.Inherit, before)
	case *dingtalk.Notifier:
		pass(n.Inherit, before)
	case *feishu.Notifier:
		pass(n.Inherit, before)
	case *slack.Notifier:
		pass(n.Inherit, before)
	}
}

// pass hands over a channel of the same kind.
func pass[N notifiers.Notifier](inherit func(N), before notifiers.Notifier) {
	if b, ok := before.(N); ok {
		inherit(b)
	}
}

// callbacks returns the handlers of what providers call, by the names of the
// channels.
func callbacks(channels map[string]notifiers.Notifier, b buttons) map[string]http.Handler {
	by := map[string]http.Handler{}
	for name, n := range channels {
		switch n := n.(type) {
		case *wecom.Notifier:
			by[name] = n.Handler(b, duty(b))
		case *slack.Notifier:
			by[name] = n.Handler(b, duty(b))
		}
	}
	return by
}

// attend keeps up what channels have besides sending, until ctx ends and all
// that people asked for through them is done.
func attend(ctx context.Context, channels map[string]notifiers.Notifier, b buttons) {
	var all sync.WaitGroup
	for _, n := range channels {
		switch n := n.(type) {
		case *slack.Notifier:
			all.Go(func() { n.Run(ctx, b, duty(b)) })
		case *wecom.Notifier:
			all.Go(func() { <-ctx.Done(); n.Close() })
		}
	}
	all.Wait()
}
