// Package email sends pages by SMTP: one mail per page, with a text part and
// an HTML part. It decides nothing about who is paged or when, and it does not
// retry: its errors say whether trying again may help.
package email
