package slack

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Block is a piece of a message, or a piece of such a piece.
type Block struct {
	Type        string    `json:"type"`
	BlockID     string    `json:"block_id"`
	Text        *Text     `json:"text"` // in rich text: of the element itself
	Fields      []Text    `json:"fields"`
	Elements    []Block   `json:"elements"`
	Accessory   *Block    `json:"accessory"`
	ActionID    string    `json:"action_id"`
	Value       string    `json:"value"`
	URL         string    `json:"url"`
	Style       any       `json:"style"`
	Placeholder *Text     `json:"placeholder"`
	Options     []Option  `json:"options"`
	Confirm     *struct{} `json:"confirm"`
	UserID      string    `json:"user_id"`
	Range       string    `json:"range"`
}

// Text is a text object.
type Text struct {
	Type string `json:"type"` // plain_text or mrkdwn
	Text string `json:"text"`
}

// UnmarshalJSON reads a text object, or the text of a rich text element, which
// is a string.
func (t *Text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &t.Text)
	}
	type plain Text
	return json.Unmarshal(b, (*plain)(t))
}

// Option is one choice of a menu.
type Option struct {
	Text  Text   `json:"text"`
	Value string `json:"value"`
}

// readBlocks reads the blocks of a message and checks them by the documented
// limits.
func readBlocks(content []byte) ([]Block, error) {
	var blocks []Block
	if err := json.Unmarshal(content, &blocks); err != nil {
		return nil, fmt.Errorf("not a list of blocks: %w", err)
	}
	if len(blocks) > 50 {
		return nil, fmt.Errorf("%d blocks where 50 are allowed [json-pointer:/blocks]", len(blocks))
	}
	seen := map[string]bool{}
	for i, b := range blocks {
		err := b.check()
		if err == nil && b.BlockID != "" && (seen[b.BlockID] || utf8.RuneCountInString(b.BlockID) > 255) {
			err = errors.New("block_id is too long or comes twice")
		}
		if err != nil {
			return nil, fmt.Errorf("%w [json-pointer:/blocks/%d]", err, i)
		}
		seen[b.BlockID] = true
	}
	return blocks, nil
}

func (b Block) check() error {
	switch b.Type {
	case "header":
		return b.Text.plain("text", 150)
	case "section":
		return b.section()
	case "context":
		return b.context()
	case "actions":
		return b.actions()
	case "rich_text":
		return b.rich()
	case "divider":
		return nil
	}
	return fmt.Errorf("unsupported type: %s", b.Type)
}

// within tells whether a text object is there and not too long.
func (t *Text) within(what string, most int, types ...string) error {
	switch {
	case t == nil || t.Text == "":
		return fmt.Errorf("%s must be more than 0 characters", what)
	case !slices.Contains(types, t.Type):
		return fmt.Errorf("%s is of type %q", what, t.Type)
	case utf8.RuneCountInString(t.Text) > most:
		return fmt.Errorf("%s must be less than %d characters", what, most+1)
	}
	return nil
}

func (t *Text) plain(what string, most int) error { return t.within(what, most, "plain_text") }

func (b Block) section() error {
	if b.Text == nil && len(b.Fields) == 0 {
		return errors.New("a section needs text or fields")
	}
	if b.Text != nil {
		if err := b.Text.within("text", 3000, "plain_text", "mrkdwn"); err != nil {
			return err
		}
	}
	if len(b.Fields) > 10 {
		return errors.New("no more than 10 items allowed: fields")
	}
	for _, f := range b.Fields {
		if err := f.within("fields", 2000, "plain_text", "mrkdwn"); err != nil {
			return err
		}
	}
	if b.Accessory != nil {
		return b.Accessory.control()
	}
	return nil
}

func (b Block) context() error {
	if n := len(b.Elements); n < 1 || n > 10 {
		return errors.New("a context has 1 to 10 elements")
	}
	for _, e := range b.Elements {
		// An element of a context is a text object itself.
		if e.Type != "plain_text" && e.Type != "mrkdwn" {
			return fmt.Errorf("unsupported element: %s", e.Type)
		}
		if e.Text == nil || e.Text.Text == "" || utf8.RuneCountInString(e.Text.Text) > 3000 {
			return errors.New("the text of an element must have 1 to 3000 characters")
		}
	}
	return nil
}

func (b Block) actions() error {
	if n := len(b.Elements); n < 1 || n > 25 {
		return errors.New("actions have 1 to 25 elements")
	}
	seen := map[string]bool{}
	for _, e := range b.Elements {
		if err := e.control(); err != nil {
			return err
		}
		if seen[e.ActionID] {
			return fmt.Errorf("action_id %q comes twice", e.ActionID)
		}
		seen[e.ActionID] = true
	}
	return nil
}

// control checks a button or a menu.
func (b Block) control() error {
	if b.ActionID == "" || utf8.RuneCountInString(b.ActionID) > 255 {
		return errors.New("action_id must have 1 to 255 characters")
	}
	switch b.Type {
	case "button":
		if len(b.Value) > 2000 || len(b.URL) > 3000 {
			return errors.New("value or url is too long")
		}
		if b.Style != nil && b.Style != "primary" && b.Style != "danger" {
			return fmt.Errorf("style %v", b.Style)
		}
		return b.Text.plain("text", 75)
	case "static_select":
		return b.menu()
	}
	return fmt.Errorf("unsupported element: %s", b.Type)
}

func (b Block) menu() error {
	if err := b.Placeholder.plain("placeholder", 150); err != nil {
		return err
	}
	if n := len(b.Options); n < 1 || n > 100 {
		return errors.New("a menu has 1 to 100 options")
	}
	for _, o := range b.Options {
		if err := o.Text.plain("option", 75); err != nil {
			return err
		}
		if o.Value == "" || len(o.Value) > 150 {
			return errors.New("the value of an option must have 1 to 150 characters")
		}
	}
	return nil
}

func (b Block) rich() error {
	if len(b.Elements) == 0 {
		return errors.New("rich_text needs elements")
	}
	for _, e := range b.Elements {
		if !slices.Contains([]string{"rich_text_section", "rich_text_preformatted", "rich_text_quote"}, e.Type) {
			return fmt.Errorf("unsupported element: %s", e.Type)
		}
		size := 0
		for _, part := range e.Elements {
			if err := part.inline(); err != nil {
				return err
			}
			if part.Text != nil {
				size += utf8.RuneCountInString(part.Text.Text)
			}
		}
		if len(e.Elements) == 0 || size > 3000 {
			return fmt.Errorf("a %s of %d characters", e.Type, size)
		}
	}
	return nil
}

func (b Block) inline() error {
	switch b.Type {
	case "text":
		if b.Text == nil || b.Text.Text == "" {
			return errors.New("text must be more than 0 characters")
		}
		return nil
	case "link":
		if b.URL == "" || len(b.URL) > 3000 {
			return errors.New("a link needs a url")
		}
		return nil
	case "user", "broadcast":
		return nil
	}
	return fmt.Errorf("unsupported element: %s", b.Type)
}

// mentions returns whom the blocks call.
func mentions(blocks []Block) (called []string) {
	for _, b := range blocks {
		switch {
		case b.Type == "user":
			called = append(called, b.UserID)
		case b.Type == "broadcast":
			called = append(called, b.Range)
		case b.Text != nil && (b.Text.Type == "mrkdwn" || b.Type == "mrkdwn"):
			_, more := shown(b.Text.Text)
			called = append(called, more...)
		}
		for _, f := range b.Fields {
			if f.Type == "mrkdwn" {
				_, more := shown(f.Text)
				called = append(called, more...)
			}
		}
		called = append(called, mentions(b.Elements)...)
	}
	return called
}

var control = regexp.MustCompile(`<([@#!])([^>|]*)(?:\|([^>]*))?>|<([^>|]+)(?:\|([^>]*))?>`)

// shown returns text with its control sequences as a reader sees them, and
// whom they call.
func shown(text string) (plain string, called []string) {
	plain = control.ReplaceAllStringFunc(text, func(found string) string {
		m := control.FindStringSubmatch(found)
		switch m[1] {
		case "@", "!":
			called = append(called, m[2])
			return "@" + m[2]
		case "#":
			return "#" + m[2]
		}
		if m[5] != "" {
			return m[5] + " (" + m[4] + ")"
		}
		return m[4]
	})
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(plain), called
}

// Seen returns the message as its reader sees it, controls in brackets.
func (m Message) Seen() string {
	if len(m.Blocks) == 0 {
		return m.Text
	}
	var lines []string
	for _, b := range m.Blocks {
		lines = append(lines, b.seen()...)
	}
	return strings.Join(lines, "\n")
}

func (b Block) seen() (lines []string) {
	text := ""
	if b.Text != nil {
		text = b.Text.Text
		if b.Text.Type == "mrkdwn" || b.Type == "mrkdwn" {
			text, _ = shown(text)
		}
	}
	switch b.Type {
	case "rich_text_section", "rich_text_preformatted", "rich_text_quote":
		for _, e := range b.Elements {
			text += strings.Join(e.seen(), "")
		}
		return strings.Split(text, "\n")
	case "link":
		return []string{strings.TrimSpace(text + " " + b.URL)}
	case "user":
		return []string{"@" + b.UserID}
	case "broadcast":
		return []string{"@" + b.Range}
	case "button":
		return []string{strings.TrimSpace("[" + text + "] " + b.URL)}
	case "static_select":
		return []string{"[" + b.Placeholder.Text + " ▾]"}
	}
	if text != "" {
		lines = append(lines, text)
	}
	for _, f := range b.Fields {
		plain, _ := shown(f.Text)
		lines = append(lines, plain)
	}
	for _, e := range b.Elements {
		lines = append(lines, e.seen()...)
	}
	if b.Accessory != nil {
		lines = append(lines, b.Accessory.seen()...)
	}
	return lines
}
