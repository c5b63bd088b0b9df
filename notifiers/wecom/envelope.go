package wecom

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1" // the provider signs by it
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

// envelope verifies and opens what the provider sends
// (https://developer.work.weixin.qq.com/document/path/90968).
type envelope struct {
	token    secret.Secret
	block    cipher.Block
	iv       []byte
	receiver string
}

func openEnvelope(c Callback, corpID string) (*envelope, error) {
	token, err := secret.Resolve("callback.token", c.Token, c.TokenFile)
	if err != nil {
		return nil, err
	}
	text, err := secret.Resolve("callback.aes_key", c.AESKey, c.AESKeyFile)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(text.Reveal() + "=")
	if err != nil || len(key) != 32 {
		return nil, errors.New("callback.aes_key: want the EncodingAESKey of the console: 43 letters and digits")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("callback.aes_key: %w", err)
	}
	return &envelope{token, block, key[:aes.BlockSize], corpID}, nil
}

// signed tells whether signature is the provider's of the other texts: the
// SHA-1 of them and the token, sorted, in hexadecimal digits. How long that
// takes does not tell how much of it is right.
func (e *envelope) signed(signature, timestamp, nonce, encrypted string) bool {
	parts := []string{e.token.Reveal(), timestamp, nonce, encrypted}
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(signature)) == 1
}

// Errors of open.
var (
	errEncryption = errors.New("not encrypted as the provider does")
	errReceiver   = errors.New("meant for another company")
)

// padTo is the block size of the padding (PKCS #7, RFC 5652 section 6.3),
// which is not that of AES.
const padTo = 32

// open decrypts a message: 16 random bytes, the message's length in four bytes
// in network order, the message, and for which company it is.
func (e *envelope) open(encrypted string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(encrypted)
	if err != nil || len(data) == 0 || len(data)%padTo != 0 {
		return nil, errEncryption
	}
	cipher.NewCBCDecrypter(e.block, e.iv).CryptBlocks(data, data)
	pad := int(data[len(data)-1])
	if pad < 1 || pad > padTo {
		return nil, errEncryption
	}
	for _, b := range data[len(data)-pad:] {
		if int(b) != pad {
			return nil, errEncryption
		}
	}
	const head = 16 + 4
	if data = data[:len(data)-pad]; len(data) < head {
		return nil, errEncryption
	}
	size := binary.BigEndian.Uint32(data[16:head])
	if data = data[head:]; uint64(size) > uint64(len(data)) {
		return nil, errEncryption
	}
	if subtle.ConstantTimeCompare(data[size:], []byte(e.receiver)) != 1 {
		return nil, errReceiver
	}
	return data[:size], nil
}
