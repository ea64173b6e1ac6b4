// Rooms: a join, the state as of its position, and the events that change it after that (RW-RST-2, RW-ORD-5).
package roomwire

import (
	"context"
	"sort"
)

const mostHeld = 10_000

// Member of a room.
type Member struct {
	UserID string
	Name   string
	Order  int64
	Online int64
}

// RoomState is what a room looked like at one moment.
type RoomState struct {
	Current     bool // false: out of date, as after a lost connection or RESET
	Metadata    map[string]any
	Members     []Member // in joining order; empty while the room is crowded
	MemberCount int64
	Host        string // user id
	Presenter   string // sid
	Locks       map[string]map[string]any
}

// Room is a room that the client is in, or joins.
type Room struct {
	topic   *topic
	id      string
	create  any
	behind  bool      // the state has to be read
	asked   bool      // join:room waits for its answer
	need    *Position // the state has to reach this far
	state   *Position // the state includes the events up to there
	held    []heldEvent
	members map[string]Member
	now     RoomState
}

type heldEvent struct {
	name   string
	data   map[string]any
	offset int64
}

// Join enters a room and waits for its state. `create`: nil, true, or the fields of a new room.
func (c *Client) Join(ctx context.Context, id string, create any) (*Room, error) {
	var room *Room
	name := "room:" + id
	err := c.enter(ctx, name, func(t *topic) {
		t.room = &Room{topic: t, id: id, create: create, behind: true}
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.topics[name]; t != nil {
		room = t.room
	}
	return room, err
}

// Leave leaves the room.
func (r *Room) Leave(ctx context.Context) error {
	c := r.topic.client
	_, err := c.Call(ctx, "leave:room", map[string]any{"roomId": r.id}, CallOptions{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		r.topic.end(0, disconnected())
	}
	return err
}

// State is a copy of the room as it is known now.
func (r *Room) State() RoomState {
	r.topic.client.mu.Lock()
	defer r.topic.client.mu.Unlock()
	state := r.now
	state.Current = !r.behind && r.topic.client.state == live && !r.topic.asking
	state.Members = make([]Member, 0, len(r.members))
	for _, member := range r.members {
		state.Members = append(state.Members, member)
	}
	sort.Slice(state.Members, func(i, j int) bool { return state.Members[i].Order < state.Members[j].Order })
	return state
}

// begin is called where a subscription begins anew, or events were missed: the state has to reach the delivery cursor.
func (r *Room) begin() {
	need := *r.topic.delivery
	r.need = &need
	r.held = nil
	r.behind = true
	r.fetch()
}

// fetch reads the state by join:room, which changes nothing for a session that is in the room.
func (r *Room) fetch() {
	c := r.topic.client
	r.behind = true
	if r.asked || c.state != live {
		return // the one that runs notices `need`
	}
	input := map[string]any{"roomId": r.id}
	if r.create != nil {
		input["create"] = r.create
	}
	data, err := encodeData(input)
	if err != nil {
		r.topic.end(0, &Error{Code: codeBadRequest, Message: err.Error()})
		return
	}
	r.asked = true
	request := c.callRequest("join:room", data, "", defaultTimeout)
	request.done = r.fetched
	c.request(request)
}

func (r *Room) fetched(data any, err *Error) {
	r.asked = false
	t := r.topic
	if !t.current() {
		return
	}
	if err != nil {
		switch {
		case err.Code == codeDisconnected: // WELCOME decides
		case err.transient():
			t.again(err)
		default:
			t.end(err.Code, err)
		}
		return
	}
	reply := fields(data)
	at, ok := positionOf(fields(reply["positions"])[t.name])
	if !ok {
		t.end(0, &Error{Code: codeBadRequest, Message: "the reply of join:room has no position"})
		return
	}
	if r.need != nil && (at.Epoch != r.need.Epoch || at.Offset < r.need.Offset) {
		t.again(&Error{Code: codeDeadline}) // older than what was missed
		return
	}
	if t.delivery == nil {
		t.delivery = &at
	}
	r.create = nil
	r.state = &at
	r.behind = false
	r.replace(reply)
	held := r.held
	r.held = nil
	for _, event := range held {
		if event.offset > at.Offset {
			r.apply(event.name, event.data)
		}
	}
	t.settle()
}

func (r *Room) end() {
	r.held = nil
	r.need = nil
	r.state = nil
	for lock := range r.topic.client.locks {
		if lock.room == r.id {
			lock.lose()
		}
	}
}

// event takes an event above the delivery cursor, which was moved already.
func (r *Room) event(name string, data map[string]any, offset int64) {
	r.lockChanged(name, data)
	if r.behind {
		if len(r.held) >= mostHeld {
			need := *r.topic.delivery
			r.need, r.held = &need, nil
		} else {
			r.held = append(r.held, heldEvent{name, data, offset})
		}
		return
	}
	if offset > r.state.Offset {
		r.apply(name, data)
	}
}

func (r *Room) replace(reply map[string]any) {
	holders := fields(reply["holders"])
	r.now = RoomState{
		Metadata:    map[string]any{},
		MemberCount: number(reply["memberCount"]),
		Host:        text(fields(holders["host"])["userId"]),
		Presenter:   text(fields(holders["presenter"])["sid"]),
		Locks:       map[string]map[string]any{},
	}
	for key, value := range fields(reply["metadata"]) {
		r.now.Metadata[key] = value
	}
	for _, item := range items(holders["locks"]) {
		lock := fields(item)
		r.now.Locks[text(lock["target"])] = lock
	}
	r.setMembers(reply["complete"] == true, items(reply["members"]))
}

func (r *Room) setMembers(complete bool, list []any) {
	r.members = map[string]Member{}
	if !complete {
		return // crowded: pages of room:members are read when somebody wants to see them (RW-ROM-13)
	}
	for _, item := range list {
		r.setMember(fields(item))
	}
}

func (r *Room) setMember(m map[string]any) {
	id := text(m["userId"])
	r.members[id] = Member{id, text(m["name"]), number(m["order"]), number(m["online"])}
}

// apply changes the state by one event that it does not include yet.
func (r *Room) apply(name string, data map[string]any) {
	switch name {
	case "room:update":
		if number(data["version"]) <= number(r.now.Metadata["version"]) {
			return
		}
		metadata := map[string]any{}
		for key, value := range r.now.Metadata {
			metadata[key] = value
		}
		for key, value := range data {
			if key != "roomId" && key != "created" {
				metadata[key] = value
			}
		}
		r.now.Metadata = metadata
	case "member:joined":
		member := fields(data["member"])
		if _, known := r.members[text(member["userId"])]; !known {
			r.now.MemberCount++
		}
		r.setMember(member)
	case "member:left":
		if _, known := r.members[text(data["userId"])]; known {
			r.now.MemberCount--
			delete(r.members, text(data["userId"]))
		}
	case "member:online":
		if member, known := r.members[text(data["userId"])]; known {
			member.Online = number(data["online"])
			r.members[member.UserID] = member
		}
	case "member:mode":
		r.now.MemberCount = number(data["memberCount"])
		r.setMembers(data["complete"] == true, items(data["members"]))
	case "host:update":
		r.now.Host = text(fields(data["host"])["userId"])
	case "presenter:update":
		r.now.Presenter = text(fields(data["presenter"])["sid"])
	case "lock:update":
		locks := map[string]map[string]any{}
		for target, lock := range r.now.Locks {
			locks[target] = lock
		}
		if lock := fields(data["lock"]); lock != nil {
			locks[text(data["target"])] = lock
		} else {
			delete(locks, text(data["target"]))
		}
		r.now.Locks = locks
	}
}

// count takes the volatile member:count of a crowded room.
func (r *Room) count(event string, data map[string]any) {
	if event == "member:count" {
		r.now.MemberCount = number(data["memberCount"])
	}
}
