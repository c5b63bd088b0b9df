// Package email sends pages as mails through one SMTP server (a smarthost),
// as text and as HTML. It keeps no queue: what the server does not take is an
// error that says whether the same page may be taken later.
package email
