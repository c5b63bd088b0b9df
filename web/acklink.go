package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// AckLinkLife is how long a link that acknowledges holds, unless somebody says
// otherwise.
const AckLinkLife = 24 * time.Hour

// ackPath is where links that acknowledge begin.
const ackPath = "/a/"

// maxLinkUser is how long the name of a user in a link may be, in bytes.
const maxLinkUser = 200

// AckLink returns a link by which one user acknowledges one incident without
// a token, until it expires. It leads to a form, so that whatever follows
// links in mails does nothing by that. base is the address of Midwatch. No
// link is returned without a key, or for a name longer than 200 bytes.
//
// The link is base/a/INCIDENT/EXPIRES.USER.SIGNATURE: a Unix time in seconds,
// the name in base64url, and the HMAC-SHA256 of all three in base64url.
func AckLink(key []byte, base string, incident int64, user string, expires time.Time) string {
	if len(key) == 0 || user == "" || len(user) > maxLinkUser || !utf8.ValidString(user) {
		return ""
	}
	head := strconv.FormatInt(expires.Unix(), 10) + "." + base64.RawURLEncoding.EncodeToString([]byte(user))
	return fmt.Sprintf("%s/a/%d/%s.%s", strings.TrimRight(base, "/"), incident, head, signLink(key, incident, head))
}

func signLink(key []byte, incident int64, head string) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "midwatch acknowledge 1\n%d\n%s", incident, head)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

var errLink = problem{status: http.StatusForbidden, kind: wire.Forbidden, text: "This link is not one that Midwatch made. Open the incident and acknowledge it there."}

// readLink returns who may acknowledge an incident by the last part of a
// link. The signature is checked before anything in it is believed.
func readLink(key []byte, incident int64, part string, now time.Time) (user string, err error) {
	at := strings.LastIndexByte(part, '.')
	if len(key) == 0 || at < 0 || len(part) > 2*maxLinkUser+100 {
		return "", errLink
	}
	head, signature := part[:at], part[at+1:]
	if !hmac.Equal([]byte(signature), []byte(signLink(key, incident, head))) {
		return "", errLink
	}
	until, name, _ := strings.Cut(head, ".")
	seconds, err := strconv.ParseInt(until, 10, 64)
	if err != nil {
		return "", errLink
	}
	decoded, err := base64.RawURLEncoding.DecodeString(name)
	if err != nil || len(decoded) == 0 {
		return "", errLink
	}
	if !now.Before(time.Unix(seconds, 0)) {
		return "", problem{status: http.StatusGone, kind: wire.Forbidden, text: "This link has expired. Open the incident and acknowledge it there."}
	}
	return string(decoded), nil
}

// ackView is the content of the page of a link.
type ackView struct {
	incidentRow
	User   string
	Action string // where the form goes
	Came   string // what came of it; "" before
	Error  string
}

// ackLink shows a form that acknowledges, or acknowledges.
func (h *Handler) ackLink(w http.ResponseWriter, r *http.Request) error {
	id, err := parseID(r.PathValue("id"))
	if err != nil {
		return err
	}
	user, err := readLink(h.LinkKey, id, r.PathValue("signed"), h.Now())
	if err != nil {
		return err
	}
	v := ackView{User: user, Action: "/a/" + r.PathValue("id") + "/" + r.PathValue("signed")}
	status := http.StatusOK
	if r.Method == http.MethodPost {
		status, err = h.ackByLink(r, id, user, &v)
		if err != nil {
			return err
		}
	}
	s, err := h.Incidents.Story(r.Context(), id)
	if err != nil {
		return incidentError(id, err)
	}
	v.incidentRow = h.incidentRow(s.Incident, h.Now())
	if v.Came == "" && s.Incident.Status == alert.Acknowledged && s.Incident.AckedBy == user {
		v.Came = "You have acknowledged it."
	}
	return h.show(w, status, "acklink", frame{Title: fmt.Sprintf("%s %s", v.Level, v.Title), Content: v})
}

func (h *Handler) ackByLink(r *http.Request, id int64, user string, v *ackView) (status int, err error) {
	_, err = h.Incidents.Acknowledge(r.Context(), id, user)
	switch {
	case err == nil:
		v.Came = "Acknowledged. Nobody else is paged for it."
		return http.StatusOK, nil
	case errors.Is(err, ErrConflict):
		v.Error = "It is resolved already."
		return http.StatusConflict, nil
	}
	return 0, incidentError(id, err)
}
