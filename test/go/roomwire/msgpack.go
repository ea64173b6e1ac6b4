// The subset of MessagePack that roomwire.v1 uses (RW-ENC-1 to RW-ENC-4), strict both ways.
//
// Values are nil, bool, int64, float64, string, []byte, []any and map[string]any. A library would do for what is
// written; none of Debian's refuses all that has to be refused (nil and bin as keys, bad UTF-8, ext) without a
// second walk over what it decoded.
package roomwire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"
	"unicode/utf8"
)

const (
	largestInt     = 1<<53 - 1
	deepestWritten = 31
	deepestRead    = 32
)

// Raw is a value that is encoded already: a repetition sends the bytes of the first time (RW-CAL-6).
type Raw []byte

// Encode makes the bytes of a frame. Maps are written in the order of their keys, so that equal data has equal bytes:
// Go walks a map in another order each time, and a repetition would be NACK 111.
func Encode(frame []any) (Raw, error) {
	return appendValue(nil, frame, 1)
}

// encodeData makes the bytes of what goes into a frame, one level below it.
func encodeData(data any) (Raw, error) {
	return appendValue(nil, data, 2)
}

func appendValue(b []byte, value any, depth int) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(b, 0xc0), nil
	case bool:
		if v {
			return append(b, 0xc3), nil
		}
		return append(b, 0xc2), nil
	case int:
		return appendInt(b, int64(v))
	case int64:
		return appendInt(b, v)
	case float64:
		return binary.BigEndian.AppendUint64(append(b, 0xcb), math.Float64bits(v)), nil
	case string:
		if !utf8.ValidString(v) {
			return nil, errors.New("a str that is not UTF-8")
		}
		return append(appendLength(b, len(v), 0xa0, 31, 0xd9), v...), nil
	case []byte:
		return append(appendLength(b, len(v), 0, -1, 0xc4), v...), nil
	case Raw:
		return append(b, v...), nil
	case []any:
		if depth > deepestWritten {
			return nil, errors.New("more than 31 levels")
		}
		b = appendLength(b, len(v), 0x90, 15, 0xdb) // 0xdc is array 16, there is no array 8
		var err error
		for _, item := range v {
			if b, err = appendValue(b, item, depth+1); err != nil {
				return nil, err
			}
		}
		return b, nil
	case map[string]any:
		if depth > deepestWritten {
			return nil, errors.New("more than 31 levels")
		}
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		b = appendLength(b, len(v), 0x80, 15, 0xdd) // 0xde is map 16
		var err error
		for _, key := range keys {
			if b, err = appendValue(b, key, depth+1); err != nil {
				return nil, err
			}
			if b, err = appendValue(b, v[key], depth+1); err != nil {
				return nil, err
			}
		}
		return b, nil
	}
	return nil, fmt.Errorf("a %T has no place in MessagePack", value)
}

// appendLength writes the head of a str, bin, array or map: in its one byte up to `fixed`, else after the format of
// 8 bits, or of 16 and 32 that follow it. Arrays and maps have none of 8 bits.
func appendLength(b []byte, n int, small byte, fixed int, format8 byte) []byte {
	switch {
	case n <= fixed:
		return append(b, small|byte(n))
	case n <= math.MaxUint8 && fixed != 15:
		return append(b, format8, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, format8+1), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, format8+2), uint32(n))
}

func appendInt(b []byte, v int64) ([]byte, error) {
	switch {
	case v > largestInt || v < -largestInt:
		return nil, errors.New("an integer outside ±(2^53 - 1)")
	case v >= -32 && v <= math.MaxInt8:
		return append(b, byte(v)), nil
	case v > math.MaxUint32:
		return binary.BigEndian.AppendUint64(append(b, 0xcf), uint64(v)), nil
	case v > math.MaxUint16:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(v)), nil
	case v > math.MaxUint8:
		return binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(v)), nil
	case v >= 0:
		return append(b, 0xcc, byte(v)), nil
	case v >= math.MinInt8:
		return append(b, 0xd0, byte(v)), nil
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(b, 0xd1), uint16(v)), nil
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(b, 0xd2), uint32(v)), nil
	}
	return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(v)), nil
}

// DecodeMessage takes all frames of a message, or none (RW-CON-5).
func DecodeMessage(message []byte) ([][]any, error) {
	d := decoder{bytes: message}
	frames := [][]any{}
	for len(frames) == 0 || d.at < len(message) {
		frame, err := d.frame()
		if err != nil {
			return nil, fmt.Errorf("frame %d: %w", len(frames), err)
		}
		frames = append(frames, frame)
	}
	return frames, nil
}

type decoder struct {
	bytes []byte
	at    int
}

var errTruncated = errors.New("truncated or a length past the end")

func (d *decoder) frame() ([]any, error) {
	if len(d.bytes) == 0 {
		return nil, errors.New("empty message")
	}
	value, err := d.value(1)
	if err != nil {
		return nil, err
	}
	frame, ok := value.([]any)
	if !ok {
		return nil, errors.New("frame is not an array")
	}
	if op, ok := integer(at(frame, 0)); !ok || op < 0 {
		return nil, errors.New("frame has no opcode")
	}
	return frame, nil
}

func (d *decoder) take(n int) ([]byte, error) {
	if n > len(d.bytes)-d.at {
		return nil, errTruncated
	}
	d.at += n
	return d.bytes[d.at-n : d.at], nil
}

// number reads so many bytes as an unsigned integer.
func (d *decoder) number(size int) (uint64, error) {
	b, err := d.take(size)
	if err != nil {
		return 0, err
	}
	var n uint64
	for _, octet := range b {
		n = n<<8 | uint64(octet)
	}
	return n, nil
}

func (d *decoder) value(depth int) (any, error) {
	head, err := d.number(1)
	if err != nil {
		return nil, err
	}
	format := byte(head)
	switch {
	case format <= 0x7f || format >= 0xe0:
		return int64(int8(format)), nil
	case format <= 0x8f:
		return d.fields(int(format&0x0f), depth)
	case format <= 0x9f:
		return d.items(int(format&0x0f), depth)
	case format <= 0xbf:
		return d.text(int(format & 0x1f))
	}
	switch format {
	case 0xc0:
		return nil, nil
	case 0xc2, 0xc3:
		return format == 0xc3, nil
	case 0xca, 0xcb:
		bits, err := d.number(4 << (format - 0xca))
		if format == 0xca {
			return float64(math.Float32frombits(uint32(bits))), err
		}
		return math.Float64frombits(bits), err
	case 0xcc, 0xcd, 0xce, 0xcf:
		n, err := d.number(1 << (format - 0xcc))
		return bounded(int64(n), n <= largestInt, err)
	case 0xd0, 0xd1, 0xd2, 0xd3:
		size := 1 << (format - 0xd0)
		n, err := d.number(size)
		signed := int64(n<<(64-8*size)) >> (64 - 8*size)
		return bounded(signed, signed <= largestInt && signed >= -largestInt, err)
	}
	if kind, size, ok := lengthOf(format); ok {
		n, err := d.number(size)
		if err != nil {
			return nil, err
		}
		switch kind {
		case 's':
			return d.text(int(n))
		case 'b':
			b, err := d.take(int(n))
			return append([]byte{}, b...), err
		case 'a':
			return d.items(int(n), depth)
		default:
			return d.fields(int(n), depth)
		}
	}
	return nil, errors.New("ext or reserved type")
}

// lengthOf says what a format with a length is (str, bin, array, map), and how many bytes its length has.
func lengthOf(format byte) (kind byte, size int, ok bool) {
	switch {
	case format >= 0xc4 && format <= 0xc6:
		return 'b', 1 << (format - 0xc4), true
	case format >= 0xd9 && format <= 0xdb:
		return 's', 1 << (format - 0xd9), true
	case format == 0xdc || format == 0xdd:
		return 'a', 2 << (format - 0xdc), true
	case format == 0xde || format == 0xdf:
		return 'm', 2 << (format - 0xde), true
	}
	return 0, 0, false
}

func bounded(n int64, ok bool, err error) (any, error) {
	if err == nil && !ok {
		err = errors.New("integer outside ±(2^53 - 1)")
	}
	return n, err
}

func (d *decoder) text(n int) (any, error) {
	b, err := d.take(n)
	if err == nil && !utf8.Valid(b) {
		err = errors.New("invalid UTF-8")
	}
	return string(b), err
}

// items reads an array. A length that lies is found before memory is taken: each element has a byte at least.
func (d *decoder) items(n, depth int) (any, error) {
	if depth > deepestRead {
		return nil, errors.New("nested too deep")
	}
	if n > len(d.bytes)-d.at {
		return nil, errTruncated
	}
	items := make([]any, n)
	for i := range items {
		var err error
		if items[i], err = d.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return items, nil
}

func (d *decoder) fields(n, depth int) (any, error) {
	if depth > deepestRead {
		return nil, errors.New("nested too deep")
	}
	if n > (len(d.bytes)-d.at)/2 {
		return nil, errTruncated
	}
	fields := make(map[string]any, n)
	for ; n > 0; n-- {
		key, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, errors.New("map key is not a string")
		}
		if fields[name], err = d.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return fields, nil
}
