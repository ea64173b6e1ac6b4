// What a frame holds, looked at without trust: a value that is not what it should be counts as absent.
package roomwire

import "math"

// Position is [epoch, offset]: everything in a topic up to there.
type Position struct {
	Epoch  string
	Offset int64
}

func (p Position) wire() []any { return []any{p.Epoch, p.Offset} }

func positionOf(value any) (Position, bool) {
	pair, _ := value.([]any)
	epoch, ok := at(pair, 0).(string)
	offset, fine := integer(at(pair, 1))
	return Position{epoch, offset}, ok && fine
}

func at(items []any, i int) any {
	if i < len(items) {
		return items[i]
	}
	return nil
}

// integer takes 7 and 7.0 alike (RW-ENC-2).
func integer(value any) (int64, bool) {
	switch v := value.(type) {
	case int64:
		return v, true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= largestInt {
			return int64(v), true
		}
	}
	return 0, false
}

func number(value any) int64 {
	n, _ := integer(value)
	return n
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

func fields(value any) map[string]any {
	m, _ := value.(map[string]any)
	return m
}

func items(value any) []any {
	list, _ := value.([]any)
	return list
}
