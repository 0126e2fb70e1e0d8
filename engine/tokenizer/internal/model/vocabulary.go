package model

// Vocabulary maps tokens to ids and back.
type Vocabulary struct {
	trie    *Trie
	tokens  map[int32]string
	size    int
	longest int
}

// NewVocabulary returns an empty vocabulary.
func NewVocabulary() *Vocabulary {
	return &Vocabulary{trie: NewTrie(), tokens: make(map[int32]string)}
}

// Add gives token the id. If the token has one already, the new one counts; if
// another token has the id already, the id still stands for that one.
func (v *Vocabulary) Add(token string, id int32) {
	if old, ok := v.trie.ID(token); !ok {
		v.size++
	} else if v.tokens[old] == token {
		delete(v.tokens, old)
	}
	v.trie.Insert(token, id)
	v.longest = max(v.longest, len(token))
	if _, taken := v.tokens[id]; !taken {
		v.tokens[id] = token
	}
}

// ID returns the id of a token.
func (v *Vocabulary) ID(token string) (int32, bool) { return v.trie.ID(token) }

// id is ID for bytes.
func (v *Vocabulary) id(token []byte) (int32, bool) {
	node := Root
	for _, c := range token {
		var ok bool
		if node, ok = v.trie.Step(node, c); !ok {
			return 0, false
		}
	}
	return v.trie.ids[node], v.trie.ids[node] >= 0
}

// Token returns the token that an id stands for.
func (v *Vocabulary) Token(id int32) (string, bool) {
	token, ok := v.tokens[id]
	return token, ok
}

// Size returns the number of tokens.
func (v *Vocabulary) Size() int { return v.size }

// Longest returns the length of the longest token in bytes.
func (v *Vocabulary) Longest() int { return v.longest }
