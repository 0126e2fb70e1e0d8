// Package builtin embeds the models that xai explains when none is named: two
// small sentiment classifiers, each with a card (README.md) beside it.
package builtin

import (
	"embed"
	"io/fs"
)

//go:embed sentiment-en/config.json sentiment-en/model.safetensors sentiment-en/tokenizer.json sentiment-en/tokenizer_config.json
//go:embed sentiment-zh/config.json sentiment-zh/model.safetensors sentiment-zh/tokenizer.json sentiment-zh/tokenizer_config.json
var files embed.FS

// The names under which the models are opened.
const (
	SentimentEN = "sentiment-en" // English: NEGATIVE, POSITIVE
	SentimentZH = "sentiment-zh" // Chinese: 负面, 正面
)

// Models returns the embedded model folders by name. The file systems are
// read-only and safe for concurrent use.
func Models() map[string]fs.FS {
	models := make(map[string]fs.FS)
	for _, name := range []string{SentimentEN, SentimentZH} {
		sub, err := fs.Sub(files, name)
		if err != nil {
			panic(err) // the name is a constant and a valid path
		}
		models[name] = sub
	}
	return models
}
