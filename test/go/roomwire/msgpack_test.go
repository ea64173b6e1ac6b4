// The codec against protocol/vectors: what is valid decodes to its frames and back, what is not is refused.
package roomwire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
)

type vector struct {
	ID       string
	Hex      *string
	Frames   json.RawMessage
	Shortest bool
	Decoder  *bool
	Close    int
	Reason   string
	Pad      *struct {
		Hex   string
		Times int
	}
}

func vectors(t *testing.T, file string) []vector {
	t.Helper()
	text, err := os.ReadFile("../../../protocol/vectors/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Vectors []vector }
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all.Vectors
}

func (v vector) bytes(t *testing.T) []byte {
	t.Helper()
	message := *v.Hex
	if v.Pad != nil {
		message += strings.Repeat(v.Pad.Hex, v.Pad.Times)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(message, " ", ""))
	if err != nil {
		t.Fatal(v.ID, err)
	}
	return b
}

// written makes the value that a vector writes in JSON.
func written(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return plainNumber(f)
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = written(item)
		}
		return list
	case map[string]any:
		if bin, ok := v["$bin"].(string); ok {
			b, _ := hex.DecodeString(strings.ReplaceAll(bin, " ", ""))
			return b
		}
		if float, ok := v["$float"].(string); ok {
			return map[string]float64{"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1)}[float]
		}
		fields := map[string]any{}
		for key, item := range v {
			fields[key] = written(item)
		}
		return fields
	}
	return value
}

// plainNumber makes 7 of 7.0, which are the same.
func plainNumber(value any) any {
	if n, ok := integer(value); ok {
		return n
	}
	return value
}

func same(a, b any) bool {
	a, b = plainNumber(a), plainNumber(b)
	switch v := a.(type) {
	case float64:
		f, ok := b.(float64)
		return ok && (f == v || math.IsNaN(f) && math.IsNaN(v))
	case []byte:
		other, ok := b.([]byte)
		return ok && bytes.Equal(v, other)
	case []any:
		list, ok := b.([]any)
		if !ok || len(list) != len(v) {
			return false
		}
		for i := range v {
			if !same(v[i], list[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		fields, ok := b.(map[string]any)
		if !ok || len(fields) != len(v) {
			return false
		}
		for key := range v {
			if other, ok := fields[key]; !ok || !same(v[key], other) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

func TestFrames(t *testing.T) {
	for _, v := range vectors(t, "frames.json") {
		decoder := json.NewDecoder(bytes.NewReader(v.Frames))
		decoder.UseNumber()
		var list []any
		if err := decoder.Decode(&list); err != nil {
			t.Fatal(v.ID, err)
		}
		expected := written(list).([]any)
		frames, err := DecodeMessage(v.bytes(t))
		if err != nil {
			t.Error(v.ID, err)
			continue
		}
		got, message := []any{}, []byte{}
		for _, frame := range frames {
			got = append(got, frame)
			if message, err = appendValue(message, frame, 0); err != nil { // 0: a server's frame is a level deeper
				t.Error(v.ID, err)
			}
		}
		if !same(got, expected) {
			t.Errorf("%s: %v is not %v", v.ID, got, expected)
		}
		again, err := DecodeMessage(message)
		if err != nil {
			t.Error(v.ID, err)
			continue
		}
		for i, frame := range again {
			if !same(frame, frames[i]) {
				t.Errorf("%s: %v came back as %v", v.ID, frames[i], frame)
			}
		}
		if v.Shortest && len(message) != len(v.bytes(t)) {
			t.Errorf("%s: %d bytes instead of %d", v.ID, len(message), len(v.bytes(t)))
		}
	}
}

func TestNegative(t *testing.T) {
	for _, v := range vectors(t, "negative.json") {
		if v.Hex == nil || v.Decoder != nil && !*v.Decoder {
			continue
		}
		frames, err := DecodeMessage(v.bytes(t))
		if strings.HasPrefix(v.ID, "32-levels") {
			// The limit of what goes to the server; a client reads one level more (RW-ENC-4).
			if err != nil {
				t.Error(v.ID, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s was taken: %v", v.ID, frames)
		} else if !strings.HasPrefix(err.Error(), v.Reason) {
			t.Errorf("%s: %q does not begin with %q", v.ID, err, v.Reason)
		}
	}
}
