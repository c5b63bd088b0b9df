package store_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

func zipped(text string) []byte {
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	_, _ = zip.Write([]byte(text))
	_ = zip.Close()
	return b.Bytes()
}

// signed gives a backup the checksum that it must have.
func signed(text string) string {
	at := strings.LastIndex(text, `"sha256":"`) + len(`"sha256":"`)
	sum := sha256.Sum256([]byte(text[:strings.LastIndex(text, `{"rows"`)]))
	return text[:at] + hex.EncodeToString(sum[:]) + text[at+64:]
}
