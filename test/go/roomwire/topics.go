// Topics: subscriptions, the delivery cursor, and what WELCOME says of each (RW-HEL-5).
package roomwire

import "context"

// topic is one that the application asked for. A room's has a Room besides.
type topic struct {
	client   *Client
	name     string
	delivery *Position // everything up to there was received (RW-EVT-5)
	asking   bool      // SUBSCRIBE or a join waits for its answer
	deaf     bool      // events are ignored until the answer to SUBSCRIBE (RW-SUB-4)
	tries    int
	room     *Room
	joined   []func(*Error) // who waits for it
}

// Subscribe asks for a topic until it is there, or refused for good.
func (c *Client) Subscribe(ctx context.Context, name string) error {
	return c.enter(ctx, name, func(t *topic) {})
}

// enter makes the topic if the client is not in it, and waits until it is.
func (c *Client) enter(ctx context.Context, name string, prepare func(*topic)) error {
	result := make(chan *Error, 1)
	c.mu.Lock()
	if c.state == closed {
		c.mu.Unlock()
		return disconnected()
	}
	t := c.topics[name]
	if t == nil {
		t = &topic{client: c, name: name}
		prepare(t)
		c.topics[name] = t
		t.asking = true
		t.joined = append(t.joined, func(err *Error) { result <- err })
		t.ask()
	} else if t.asking {
		t.joined = append(t.joined, func(err *Error) { result <- err })
	} else {
		result <- nil
	}
	c.mu.Unlock()
	select {
	case err := <-result:
		if err != nil {
			return err
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask subscribes, or joins by call. Without a connection WELCOME does it.
func (t *topic) ask() {
	c := t.client
	t.asking = true
	if c.state != live {
		return
	}
	if t.room != nil {
		t.room.fetch()
		return
	}
	t.subscribe()
}

// subscribe sends SUBSCRIBE, with the position to go on from if there is one.
func (t *topic) subscribe() {
	var from any
	if t.delivery != nil {
		from = t.delivery.wire()
	}
	t.client.request(&request{
		frame: func(id int64) []any { return []any{opSubscribe, id, t.name, from} },
		done:  t.subscribed,
	})
}

func (t *topic) subscribed(data any, err *Error) {
	if !t.current() {
		return
	}
	deaf := t.deaf
	t.deaf = false
	if err != nil {
		switch {
		case err.Code == codeDisconnected: // WELCOME decides
		case err.transient():
			t.again(err)
		case deaf && t.room != nil && err.Code == codeNotSubscribed:
			t.ask()
		default:
			t.end(err.Code, err)
		}
		return
	}
	ack := fields(data)
	t.begin(Position{text(ack["epoch"]), number(ack["offset"])}, ack["recovered"] == true)
	t.settle()
}

// again asks once more after a backoff.
func (t *topic) again(err *Error) {
	c := t.client
	k := c.conn
	wait := c.retryIn(err, t.tries)
	t.tries++
	c.whileOn(k, wait, func() {
		if t.current() && c.state == live {
			t.ask()
		}
	})
}

// current: the application did not leave it meanwhile.
func (t *topic) current() bool { return t.client.topics[t.name] == t }

// settle ends the asking: who waits for the topic has it.
func (t *topic) settle() {
	t.asking = false
	t.tries = 0
	for _, joined := range t.joined {
		joined(nil)
	}
	t.joined = nil
	t.client.flush()
}

// begin sets the delivery cursor: a subscription starts, or goes on, there.
func (t *topic) begin(position Position, recovered bool) {
	missed := t.delivery != nil && (!recovered || *t.delivery != position)
	t.delivery = &position
	if missed {
		t.missed()
	} else if t.room != nil {
		t.room.begin()
	}
}

// missed says that events will never come: the state has to be read again (RW-RST-2).
func (t *topic) missed() {
	c := t.client
	if c.options.OnReset != nil {
		c.tell.add(func() { c.options.OnReset(t.name) })
	}
	if t.room != nil {
		t.room.begin()
	}
}

// end takes the client out of the topic; code 0: by its own wish.
func (t *topic) end(code int, err *Error) {
	c := t.client
	if !t.current() {
		return
	}
	delete(c.topics, t.name)
	for _, joined := range t.joined {
		joined(err)
	}
	if t.room != nil {
		t.room.end()
	}
	if code != 0 && t.delivery != nil && c.options.OnRemoved != nil {
		c.tell.add(func() { c.options.OnRemoved(t.name, code) })
	}
	t.delivery = nil
	c.flush()
}

// afterWelcome follows the table of RW-HEL-5.
func (t *topic) afterWelcome(entry map[string]any) {
	_, offered := t.client.conn.resume[t.name]
	code := int(number(entry["code"]))
	position := Position{text(entry["epoch"]), number(entry["offset"])}
	switch {
	case entry == nil:
		t.ask()
	case code == codeJoinRequired && t.room != nil:
		t.room.create = nil
		t.ask()
	case code >= 200 && code < 300:
		t.again(&Error{Code: code})
	case code != 0:
		t.end(code, &Error{Code: code, Message: "the session is not in the topic any more"})
	case entry["recovered"] == true && offered:
		t.delivery = &position
		if t.room != nil && t.room.behind {
			t.room.fetch()
		} else {
			t.settle()
		}
	case !offered && t.delivery != nil:
		t.asking = true
		t.deaf = true
		t.subscribe()
	default:
		t.begin(position, false)
		if t.room == nil {
			t.settle()
		}
	}
}

// topicFrame takes what the server says of a topic.
func (c *Client) topicFrame(op int64, frame []any) {
	t := c.topics[text(at(frame, 1))]
	if t == nil {
		return
	}
	switch op {
	case opEvents:
		t.events(number(at(frame, 2)), frame)
	case opReset:
		t.delivery = &Position{text(at(frame, 2)), number(at(frame, 3))}
		t.missed()
	case opSubscribed:
		t.begin(Position{text(at(frame, 2)), number(at(frame, 3))}, at(frame, 4) == true)
		if t.room == nil {
			t.settle()
		}
	case opRemoved:
		code := int(number(at(frame, 2)))
		t.end(code, &Error{Code: code, Message: text(at(frame, 3))})
	case opLatest:
		if t.room != nil {
			t.room.count(text(at(frame, 2)), fields(at(frame, 4)))
		}
	}
}

func (t *topic) events(first int64, frame []any) {
	if t.deaf || t.delivery == nil || len(frame) < 3 {
		return
	}
	for i, item := range frame[3:] {
		offset := first + int64(i)
		if offset <= t.delivery.Offset {
			continue // seen before
		}
		gap := offset > t.delivery.Offset+1
		t.delivery = &Position{t.delivery.Epoch, offset}
		if gap {
			t.missed() // a server's mistake, treated as RESET
		}
		event, data, from := text(at(items(item), 0)), at(items(item), 1), text(at(items(item), 2))
		if t.room != nil {
			if from == "" {
				t.room.event(event, fields(data), offset)
			} else {
				// Anyone may publish under these names; only the server says what the room is.
				t.room.event("", nil, offset)
			}
		}
		c := t.client
		if c.options.OnEvent != nil {
			name := t.name
			c.tell.add(func() { c.options.OnEvent(name, event, data, offset, from) })
		}
	}
}
