// The driver of the Go client for `roomwire conform client`: commands as JSON lines in, answers and sightings out.
// docs/conform.md says which.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"roomwire.test/go/roomwire"
)

type command struct {
	ID        any    `json:"id"`
	Do        string `json:"do"`
	URL       string `json:"url"`
	Token     string `json:"token"`
	BackoffMs int    `json:"backoffMs"`
	Topic     string `json:"topic"`
	Room      string `json:"room"`
	Create    any    `json:"create"`
	Name      string `json:"name"`
	Data      any    `json:"data"`
	Key       string `json:"key"`
	Target    string `json:"target"`
	TTL       int64  `json:"ttl"`
	Wait      int64  `json:"wait"`
	Event     string `json:"event"`
}

// driver holds the client under test.
type driver struct {
	out    sync.Mutex
	client *roomwire.Client

	mu    sync.Mutex
	token string
	rooms map[string]*roomwire.Room
	locks map[string]*roomwire.Lock
}

func main() {
	d := &driver{rooms: map[string]*roomwire.Room{}, locks: map[string]*roomwire.Lock{}}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var c command
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.UseNumber()
		if err := decoder.Decode(&c); err != nil {
			fmt.Fprintln(os.Stderr, "not a command:", err)
			os.Exit(1)
		}
		d.do(c)
	}
	if d.client != nil {
		d.client.Close()
		time.Sleep(100 * time.Millisecond)
	}
}

// do begins a command; what takes time ends in its own goroutine.
func (d *driver) do(c command) {
	switch c.Do {
	case "connect":
		d.setToken(c.Token)
		d.connect(c)
		d.answer(c, nil, nil)
	case "token":
		d.setToken(c.Token)
		d.answer(c, nil, nil)
	case "handle":
		d.client.Handle(c.Name, func(data any) (any, error) { return data, nil })
		d.answer(c, nil, nil)
	case "call":
		call := d.client.Go(c.Name, plain(c.Data), roomwire.CallOptions{Key: c.Key})
		go func() {
			data, err := call.Wait(context.Background())
			d.answer(c, data, err)
		}()
	case "state":
		state, err := d.state(c.Room)
		d.answer(c, state, err)
	case "subscribe", "publish", "join", "lock", "release":
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			value, err := d.slow(ctx, c)
			d.answer(c, value, err)
		}()
	default:
		// The checks that need it are skipped.
		d.print(map[string]any{"id": c.ID, "lacks": true})
	}
}

func (d *driver) slow(ctx context.Context, c command) (any, error) {
	switch c.Do {
	case "subscribe":
		return nil, d.client.Subscribe(ctx, c.Topic)
	case "publish":
		published, err := d.client.Publish(ctx, c.Topic, c.Event, plain(c.Data), roomwire.CallOptions{Key: c.Key})
		return map[string]any{"offset": published.Offset, "matched": published.Matched}, err
	case "join":
		room, err := d.client.Join(ctx, c.Room, plain(c.Create))
		d.mu.Lock()
		defer d.mu.Unlock()
		d.rooms[c.Room] = room
		return nil, err
	case "lock":
		return d.lock(ctx, c)
	case "release":
		d.mu.Lock()
		lock := d.locks[c.Room+" "+c.Target]
		d.mu.Unlock()
		if lock == nil {
			return nil, errors.New("no such lock")
		}
		return nil, lock.Release(ctx)
	}
	return nil, fmt.Errorf("no command %q", c.Do)
}

func (d *driver) connect(c command) {
	d.client = roomwire.Connect(roomwire.Options{
		URL:     c.URL,
		Agent:   "roomwire-go-test",
		Backoff: time.Duration(c.BackoffMs) * time.Millisecond,
		Token: func() (string, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.token, nil
		},
		OnStatus: func(status roomwire.Status, code int) {
			saw := map[string]any{"saw": "status", "status": status}
			if code != 0 {
				saw["code"] = code
			}
			d.print(saw)
		},
		OnEvent: func(topic, event string, data any, offset int64, from string) {
			if event == "note" {
				d.print(map[string]any{"saw": "event", "topic": topic, "data": data, "offset": offset})
			}
		},
		OnReset: func(topic string) { d.print(map[string]any{"saw": "reset", "topic": topic}) },
		OnRemoved: func(topic string, code int) {
			d.print(map[string]any{"saw": "removed", "topic": topic, "code": code})
		},
	})
}

func (d *driver) lock(ctx context.Context, c command) (any, error) {
	lock, err := d.client.Acquire(ctx, c.Room, roomwire.LockOptions{
		Target: c.Target,
		TTL:    time.Duration(c.TTL) * time.Millisecond,
		Wait:   time.Duration(c.Wait) * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.locks[c.Room+" "+c.Target] = lock
	d.mu.Unlock()
	go func() {
		<-lock.Lost
		d.print(map[string]any{"saw": "lost", "target": c.Target})
	}()
	return map[string]any{"token": lock.Token()}, nil
}

func (d *driver) state(id string) (any, error) {
	d.mu.Lock()
	room := d.rooms[id]
	d.mu.Unlock()
	if room == nil {
		return nil, errors.New("not joined")
	}
	state := room.State()
	members := []string{}
	for _, member := range state.Members {
		members = append(members, member.UserID)
	}
	status := "behind"
	if state.Current {
		status = "joined"
	}
	var host any
	if state.Host != "" {
		host = state.Host
	}
	var presenter any
	if state.Presenter != "" {
		presenter = state.Presenter
	}
	return map[string]any{
		"status": status, "members": members, "memberCount": state.MemberCount,
		"complete":  int64(len(members)) == state.MemberCount,
		"presenter": presenter, "host": host,
	}, nil
}

func (d *driver) setToken(token string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.token = token
}

func (d *driver) answer(c command, value any, err error) {
	if err == nil {
		d.print(map[string]any{"id": c.ID, "ok": value})
		return
	}
	problem := map[string]any{"code": 0, "message": err.Error()}
	var refused *roomwire.Error
	if errors.As(err, &refused) {
		problem["code"] = refused.Code
		if refused.Details != nil {
			problem["details"] = refused.Details
		}
	}
	d.print(map[string]any{"id": c.ID, "error": problem})
}

func (d *driver) print(line any) {
	d.out.Lock()
	defer d.out.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(line)
}

// plain makes integers of JSON's numbers where they are integral.
func plain(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = plain(item)
		}
		return list
	case map[string]any:
		fields := make(map[string]any, len(v))
		for key, item := range v {
			fields[key] = plain(item)
		}
		return fields
	}
	return value
}
