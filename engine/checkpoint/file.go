package checkpoint

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
)

// readerAt gives random access to a file. Operating systems, embed and zip
// archives kept in memory provide it; anything else is read as a whole.
func readerAt(file fs.File, size int64) (io.ReaderAt, error) {
	if r, ok := file.(io.ReaderAt); ok {
		return r, nil
	}
	data, err := io.ReadAll(io.LimitReader(file, size))
	if err != nil {
		return nil, err
	}
	return bytes.NewReader(data), nil
}

// Digest returns the SHA-256 of the file of weights in hexadecimal. It reads
// the file again, and fails if that is not the one that was opened, judged by
// its size and time.
func (c *Checkpoint) Digest(ctx context.Context) (string, error) {
	file, err := c.fsys.Open(WeightsFile)
	if err != nil {
		return "", fmt.Errorf("checkpoint: computing the digest of %s: %w", WeightsFile, err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil {
		return "", fmt.Errorf("checkpoint: computing the digest of %s: %w", WeightsFile, err)
	} else if info.Size() != c.size || !info.ModTime().Equal(c.time) {
		return "", fmt.Errorf("checkpoint: %s has changed since the model was opened: open it again", WeightsFile)
	}
	hash := sha256.New()
	buffer := make([]byte, 1<<20)
	total := int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := file.Read(buffer)
		hash.Write(buffer[:n])
		total += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", fmt.Errorf("checkpoint: computing the digest of %s: %w", WeightsFile, err)
		}
	}
	if total != c.size {
		return "", fmt.Errorf("checkpoint: %s has changed since the model was opened: open it again", WeightsFile)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
