package tokenizer

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/xai-go/xai/engine/tokenizer/internal/model"
)

// pieceModel is a SentencePiece model file, as far as it matters to the use of
// the model: a ModelProto (sentencepiece_model.proto).
type pieceModel struct {
	pieces []model.Scored // by id
	// unknown is the id of the piece for what the vocabulary lacks.
	unknown      int32
	algorithm    int32 // how the model was trained, which is how it runs
	byteFallback bool
	suffix       bool   // whether spaces go to the end of words
	unkSurface   string // what an unknown token is decoded as
	rules        normalizerSpec
	denormalizes bool // whether there are rules for decoding
}

// normalizerSpec says how text is normalized.
type normalizerSpec struct {
	charsmap []byte
	prefix   bool // begin the text with a space
	squeeze  bool // drop spaces that are too many
	escape   bool // write spaces as ▁
}

// The values of TrainerSpec.ModelType.
const (
	pieceUnigram = 1
	pieceBPE     = 2
)

// The values of SentencePiece.Type.
const (
	pieceNormal      = 1
	pieceUnknown     = 2
	pieceControl     = 3
	pieceUserDefined = 4
	pieceUnused      = 5
	pieceByte        = 6
)

// parsePieceModel reads a SentencePiece model file.
func parsePieceModel(file string, data []byte) (*pieceModel, error) {
	m := &pieceModel{
		unknown: -1, algorithm: pieceUnigram, unkSurface: " \u2047 ",
		rules: normalizerSpec{prefix: true, squeeze: true, escape: true},
	}
	seen := make(map[string]bool)
	var byteTokens [256]bool
	err := message{file, data, 0}.fields(func(f protoField) error {
		switch f.number {
		case 1:
			return m.readPiece(f, seen, &byteTokens)
		case 2:
			return m.readTrainer(f)
		case 3:
			return m.rules.read(f)
		case 5:
			var spec normalizerSpec
			err := spec.read(f)
			m.denormalizes = len(spec.charsmap) > 0
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if m.unknown < 0 {
		return nil, &MalformedError{file, "", "has no piece for what is unknown"}
	}
	for c, found := range byteTokens {
		switch {
		case found && !m.byteFallback:
			return nil, &MalformedError{file, "", fmt.Sprintf("has the byte piece <0x%02X> but does not use it", c)}
		case !found && m.byteFallback:
			return nil, &MalformedError{file, "", fmt.Sprintf("lacks the byte piece <0x%02X>", c)}
		}
	}
	return m, nil
}

// readPiece reads a token of the vocabulary.
func (m *pieceModel) readPiece(field protoField, seen map[string]bool, bytes *[256]bool) error {
	piece := model.Scored{ID: int32(len(m.pieces))}
	kind := uint64(pieceNormal)
	body, err := field.message()
	if err != nil {
		return err
	}
	err = body.fields(func(f protoField) (err error) {
		switch f.number {
		case 1:
			piece.Token, err = f.text()
		case 2:
			piece.Score, err = f.float()
		case 3:
			kind, err = f.varint()
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case piece.Token == "":
		return field.malformed("is a piece without text")
	case seen[piece.Token]:
		return field.malformed(fmt.Sprintf("is the second piece %q", piece.Token))
	case len(piece.Token) > maxToken:
		return field.unsupported(longTokens)
	}
	seen[piece.Token] = true
	switch kind {
	case pieceNormal:
	case pieceUserDefined:
		piece.Kind = model.UserDefined
	case pieceUnknown:
		if m.unknown >= 0 {
			return field.malformed("is the second piece for what is unknown")
		}
		m.unknown = piece.ID
		piece.Kind = model.Reserved
	case pieceControl:
		piece.Kind = model.Reserved
	case pieceUnused:
		piece.Kind = model.Unused
	case pieceByte:
		c, ok := byteToken(piece.Token)
		if !ok {
			return field.malformed(fmt.Sprintf("is %q, which should be a byte", piece.Token))
		}
		bytes[c] = true
		piece.Kind = model.Reserved
	default:
		return field.unsupported(fmt.Sprintf("a piece of type %d", kind))
	}
	m.pieces = append(m.pieces, piece)
	return nil
}

// byteToken returns the byte that a token such as <0x0A> stands for.
func byteToken(token string) (byte, bool) {
	var c byte
	if len(token) != len("<0x0A>") {
		return 0, false
	}
	n, err := fmt.Sscanf(token, "<0x%02X>", &c)
	return c, n == 1 && err == nil && token == fmt.Sprintf("<0x%02X>", c)
}

// readTrainer reads what the trainer says of the model (TrainerSpec).
func (m *pieceModel) readTrainer(field protoField) error {
	body, err := field.message()
	if err != nil {
		return err
	}
	return body.fields(func(f protoField) (err error) {
		switch f.number {
		case 3:
			var n uint64
			n, err = f.varint()
			m.algorithm = int32(min(n, math.MaxInt32))
		case 24:
			m.suffix, err = f.flag()
		case 35:
			m.byteFallback, err = f.flag()
		case 44:
			m.unkSurface, err = f.text()
		}
		return err
	})
}

// read reads a NormalizerSpec.
func (s *normalizerSpec) read(field protoField) error {
	body, err := field.message()
	if err != nil {
		return err
	}
	return body.fields(func(f protoField) (err error) {
		switch f.number {
		case 2:
			s.charsmap, err = f.bytes()
		case 3:
			s.prefix, err = f.flag()
		case 4:
			s.squeeze, err = f.flag()
		case 5:
			s.escape, err = f.flag()
		}
		return err
	})
}

// message is an encoded protocol buffer message in a file.
type message struct {
	file string
	data []byte
	at   int // where it begins in the file
}

// The wire types of protocol buffers.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// protoField is a field of a message. The data is that of a fixed-size number
// or a length-delimited value.
type protoField struct {
	file   string
	at     int // where it begins in the file
	number uint64
	wire   int
	value  uint64
	data   []byte
	dataAt int
}

// fields calls visit with the fields of the message in their order.
func (m message) fields(visit func(protoField) error) error {
	for i := 0; i < len(m.data); {
		f := protoField{file: m.file, at: m.at + i}
		varint := func() (uint64, error) {
			v, n := binary.Uvarint(m.data[i:])
			if n <= 0 {
				return 0, f.malformed("ends in the middle of a number")
			}
			i += n
			return v, nil
		}
		key, err := varint()
		if err != nil {
			return err
		}
		f.number, f.wire = key>>3, int(key&7)
		if f.number == 0 || f.number > math.MaxInt32>>2 {
			return f.malformed("has a field number that no message has")
		}
		size := uint64(0)
		switch f.wire {
		case wireVarint:
			f.value, err = varint()
		case wireFixed64:
			size = 8
		case wireBytes:
			size, err = varint()
		case wireFixed32:
			size = 4
		default:
			return f.malformed(fmt.Sprintf("has the wire type %d", f.wire))
		}
		if err != nil {
			return err
		}
		if size > uint64(len(m.data)-i) {
			return f.malformed(fmt.Sprintf("has %d bytes, of which %d are there", size, len(m.data)-i))
		}
		f.data, f.dataAt = m.data[i:i+int(size)], m.at+i
		i += int(size)
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

func (f protoField) malformed(problem string) error {
	return &MalformedError{f.file, fmt.Sprintf("byte %d", f.at), problem}
}

func (f protoField) unsupported(component string) error {
	return &UnsupportedError{f.file, fmt.Sprintf("byte %d", f.at), component, saveFast}
}

func (f protoField) want(wire int) error {
	if f.wire != wire {
		return f.malformed(fmt.Sprintf("has the wire type %d, which should be %d", f.wire, wire))
	}
	return nil
}

func (f protoField) varint() (uint64, error) { return f.value, f.want(wireVarint) }

func (f protoField) flag() (bool, error) { return f.value != 0, f.want(wireVarint) }

func (f protoField) bytes() ([]byte, error) { return f.data, f.want(wireBytes) }

func (f protoField) message() (message, error) {
	return message{f.file, f.data, f.dataAt}, f.want(wireBytes)
}

func (f protoField) text() (string, error) {
	if !utf8.Valid(f.data) {
		return "", f.malformed("is not UTF-8")
	}
	return string(f.data), f.want(wireBytes)
}

func (f protoField) float() (float64, error) {
	if err := f.want(wireFixed32); err != nil {
		return 0, err
	}
	v := float64(math.Float32frombits(binary.LittleEndian.Uint32(f.data)))
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, f.malformed("is no finite number")
	}
	return v, nil
}
