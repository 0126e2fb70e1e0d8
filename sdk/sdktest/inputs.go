package sdktest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest/toy"
)

var inputChecks = []check{
	{"inputs/empty", "A text without words is explained, or refused with a message.", func(k *kit) verdict {
		for _, text := range []string{" \n\t", "\x00"} {
			if v := k.input(toy.Input{Text: text}, mayRefuse); v.status != Pass {
				return v
			}
		}
		return k.input(toy.Input{}, mayRefuse)
	}},
	{"inputs/one-token", "A text of one token is explained.", func(k *kit) verdict {
		return k.input(toy.Input{Text: "film", Units: toy.UnitsToken}, mustExplain)
	}},
	{"inputs/tokens", "A text of tokens that repeat, and of words that have several, is explained by tokens.", func(k *kit) verdict {
		return k.input(toy.Input{Text: "photography photography and photography", Units: toy.UnitsToken}, mustExplain)
	}},
	{"inputs/words", "The same is explained by words.", func(k *kit) verdict {
		return k.input(toy.Input{Text: "photography photography and photography"}, mustExplain)
	}},
	{"inputs/sentences", "A text is explained by sentences.", func(k *kit) verdict {
		return k.input(toy.Input{Text: "It is good. Is it? It is!", Units: toy.UnitsSentence}, mustExplain)
	}},
	{"inputs/long", "A text of 512 tokens is explained. A refusal of so many, with a message, is a skip that says how many are explained.", (*kit).long},
	{"inputs/beyond-limits", "A text of 2500 units is explained within the time of a run, or refused with a message.", func(k *kit) verdict {
		if k.inside() {
			return skipped("the method looks inside of models, and none here reads so much")
		}
		return k.inputOf(k.light(), toy.Input{Text: many(2500), Units: toy.UnitsToken}, mayRefuse)
	}},
	{"inputs/chinese", "A Chinese text is explained.", func(k *kit) verdict {
		return k.input(toy.Input{Text: "这部电影很好看，我很喜欢。"}, mustExplain)
	}},
	{"inputs/emoji", "A text with emoji, joined ones and flags among them, is explained.", func(k *kit) verdict {
		return k.input(toy.Input{Text: "so 😀 good 👨‍👩‍👧 👍🏽 🇩🇪!"}, mustExplain)
	}},
	{"inputs/right-to-left", "A text in Hebrew and Arabic is explained.", func(k *kit) verdict {
		return k.input(toy.Input{Text: "סרט טוב (2024) فيلم جميل"}, mustExplain)
	}},
	{"inputs/combining", "A text with combining marks, some without a letter, is explained.", func(k *kit) verdict {
		return k.input(toy.Input{Text: "cafe\u0301 na\u0308\u0323iv \u0301 नमस्ते"}, mustExplain)
	}},
	{"inputs/odd-characters", "A text with line breaks, control and invisible characters and spelled-out special tokens is explained.", func(k *kit) verdict {
		return k.input(toy.Input{Text: "one\r\n\x00two\u200b\ufeff three\u2028[MASK] <b>\"four\\\""}, mustExplain)
	}},
	{"inputs/pair", "A pair of texts is explained.", func(k *kit) verdict {
		pair := "yes, it is"
		return k.input(toy.Input{Text: "is it good?", TextPair: &pair}, mustExplain)
	}},
	{"inputs/token-ids", "Token ids without a text are explained, or refused with a message.", func(k *kit) verdict {
		return k.input(toy.Input{IDs: []int32{1, 17, 99, 17, 200, 2}}, mayRefuse)
	}},
}

// What a method may do with an input.
const (
	mustExplain = false
	mayRefuse   = true
)

// input explains an input of the transformer.
func (k *kit) input(in toy.Input, refuse bool) verdict {
	return k.inputOf(transformer, in, refuse)
}

func (k *kit) inputOf(m *toy.Model, in toy.Input, refuse bool) verdict {
	if _, v := k.reference(); v != nil {
		return *v
	}
	x := k.explain(job{session: k.open(m, in)})
	switch wrong := k.failure(x); {
	case wrong == "":
		return passed("")
	case refuse && !x.late && refusal(x.err):
		return passed("refused: %v", x.err)
	default:
		return failed("%s", wrong)
	}
}

// long explains 512 tokens. A method that looks inside does so on the transformer,
// and a part of that where it asks for so much that the transformer is too slow.
func (k *kit) long() verdict {
	if !k.inside() {
		return k.sized(linear, 512)
	}
	const part, whole = 128, 510 // and two special ones
	begin := time.Now()
	v := k.sized(transformer, part)
	if v.status != Pass {
		return v
	}
	// Attention grows with the square, and rows may be as many as tokens.
	if growth := whole * whole * whole / (part * part * part); time.Since(begin)*time.Duration(growth) > k.options.Timeout/2 {
		return passed("%d tokens: the kit's transformer is too slow for more of them", part)
	}
	return k.sized(transformer, whole)
}

// fewest is the length of a text that no method may refuse for it.
const fewest = 8

// sized explains n tokens. Where the method refuses so many, it has to explain a part
// of them.
func (k *kit) sized(m *toy.Model, n int) verdict {
	if _, v := k.reference(); v != nil {
		return *v
	}
	x := k.tokens(m, n)
	wrong := k.failure(x)
	switch {
	case wrong == "":
		return passed("")
	case !tooLarge(x):
		return failed("%s", wrong)
	}
	for part := n / 2; part >= fewest; part /= 2 {
		y := k.tokens(m, part)
		switch less := k.failure(y); {
		case less == "":
			return skipped("%d tokens are refused, and %d are explained: %s", n, part, wrong)
		case !tooLarge(y):
			return failed("%d tokens are refused, and of %d: %s", n, part, less)
		}
	}
	return failed("texts of %d tokens and more are refused: %s", fewest, wrong)
}

// tokens explains a text of n tokens.
func (k *kit) tokens(m *toy.Model, n int) *explanation {
	return k.explain(job{session: k.open(m, toy.Input{Text: many(n), Units: toy.UnitsToken})})
}

// tooLarge reports whether a run ended with a refusal that may be one of the input's
// size.
func tooLarge(x *explanation) bool {
	return !x.late && !x.stuck && refusal(x.err) && slices.Contains([]sdk.Errno{sdk.EInvalid, sdk.ERange, sdk.ENoMem, sdk.EQuota}, codeOf(x.err))
}

// many returns a text of n different words of one token.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("w" + strconv.Itoa(100+i) + " ")
	}
	return b.String()
}
