package tokenizer_test

import (
	"fmt"
	"log"
	"os"

	"github.com/xai-go/xai/engine/tokenizer"
)

func Example() {
	tok, err := tokenizer.Open(os.DirFS("../../core/builtin/sentiment-en"))
	if err != nil {
		log.Fatal(err)
	}
	text := "Un café déplaisant."
	encoding, err := tok.Encode(text, tokenizer.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, token := range encoding.Tokens {
		fmt.Printf("%-6s word %2d  %q\n", token.Text, token.Word, text[token.Start:token.End])
	}
	fmt.Println(tok.Decode(encoding.IDs(), true))
	// Output:
	// [CLS]  word -1  ""
	// un     word  0  "Un"
	// ca     word  1  "ca"
	// ##fe   word  1  "fé"
	// dep    word  2  "dép"
	// ##la   word  2  "la"
	// ##isa  word  2  "isa"
	// ##n    word  2  "n"
	// ##t    word  2  "t"
	// .      word  3  "."
	// [SEP]  word -1  ""
	// un cafe deplaisant.
}

func ExampleTokenizer_Encode_pair() {
	tok, err := tokenizer.Open(os.DirFS("../../core/builtin/sentiment-en"))
	if err != nil {
		log.Fatal(err)
	}
	answer := "Yes, it is very good."
	encoding, err := tok.Encode("Is it good?", tokenizer.Options{Pair: &answer, MaxLength: 10, Truncation: tokenizer.OnlySecond})
	if err != nil {
		log.Fatal(err)
	}
	for i, token := range encoding.Tokens {
		if i > 0 {
			fmt.Print(" ")
		}
		fmt.Print(token.Text, "/", token.Type)
	}
	fmt.Println("\ndropped:", len(encoding.Dropped))
	// Output:
	// [CLS]/0 is/0 it/0 good/0 ?/0 [SEP]/0 yes/1 ,/1 it/1 [SEP]/1
	// dropped: 4
}

func ExampleTokenizer_AppendIDs() {
	tok, err := tokenizer.Open(os.DirFS("../../core/builtin/sentiment-en"))
	if err != nil {
		log.Fatal(err)
	}
	var ids []int32
	for _, variant := range []string{"a gripping film", "a [MASK] film", "a film"} {
		ids = tok.AppendIDs(ids[:0], variant)
		fmt.Println(ids)
	}
	// Output:
	// [2 17 5081 182 3]
	// [2 17 4 182 3]
	// [2 17 182 3]
}
