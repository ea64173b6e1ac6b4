/** The support desk's chat service, as its team has it: an ordinary client of Socket.IO 4. Frozen: see test/socketio/socketio.test.ts. */
import { io, type Socket } from 'socket.io-client';

const SOCKET_URL = 'http://127.0.0.1:3000';

export interface ChatUpdate {
  chat_id: string;
  last_message: string;
  unread: number;
}
export interface ChatMessage {
  message_id: string;
  chat_id: string;
  text: string;
}
interface JoinResponse {
  status: number;
  room?: string;
  message?: string;
}

const ROOM_MAP: Record<string, string> = {
  Customer: 'CustomerApp',
  Partner: 'PartnerApp',
  Vendor: 'VendorApp',
  SRDP: 'SRDPApp',
};
const UPDATES = ['room_update', 'room_update_customer', 'room_update_vendor', 'room_update_srdp'];

export class ChatService {
  private socket?: Socket;
  private readonly rooms = new Set<string>();
  private readonly chats = new Set<string>();
  readonly log: string[] = [];

  connect(token: string): void {
    this.socket = io(SOCKET_URL, {
      auth: { token },
      transports: ['websocket'],
      reconnection: true,
      reconnectionDelay: 50,
      reconnectionDelayMax: 200,
    });
    this.socket.on('connect', () => {
      this.log.push('connected');
      // A new socket is in no room.
      if (this.socket?.recovered) return;
      for (const room of this.rooms) this.socket?.emit('join_room', { room });
      for (const chat_id of this.chats) this.socket?.emit('join_chat', { chat_id });
    });
    this.socket.on('disconnect', (reason) => this.log.push(`disconnected: ${reason}`));
    this.socket.on('connect_error', (error) => this.log.push(`refused: ${typeof error.message}`));
    this.socket.on('join_room_response', (response: JoinResponse) => {
      this.log.push(response.status === 1 ? `in ${response.room}` : `not in: ${response.message}`);
    });
    this.socket.onAny((event: string) => {
      if (UPDATES.includes(event)) this.log.push('New onRoomUpdate received');
    });
  }

  get connected(): boolean {
    return this.socket?.connected ?? false;
  }

  get id(): string | undefined {
    return this.socket?.id;
  }

  joinRoom(room: string): void {
    this.rooms.add(room);
    this.socket?.emit('join_room', { room });
  }

  joinCustomerTypeRoom(customerType: string): void {
    this.joinRoom(ROOM_MAP[customerType] ?? 'PartnerApp');
  }

  async joinChat(chat_id: string): Promise<JoinResponse> {
    this.chats.add(chat_id);
    const response: JoinResponse = await this.socket?.emitWithAck('join_chat', { chat_id });
    return response;
  }

  sendMessage(chat_id: string, text: string, sent: (message: ChatMessage) => void): void {
    this.socket?.emit('send_message', { chat_id, text }, sent);
  }

  markRead(chat_id: string): Promise<ChatUpdate> {
    return new Promise((resolve, reject) => {
      this.socket?.timeout(10_000).emit('mark_read', { chat_id }, (error: Error | null, chat: ChatUpdate) => {
        if (error) reject(error);
        else resolve(chat);
      });
    });
  }

  onRoomUpdate(callback: (chat: ChatUpdate) => void): () => void {
    for (const update of UPDATES) this.socket?.on(update, callback);
    return () => {
      for (const update of UPDATES) this.socket?.off(update, callback);
    };
  }

  onNewMessage(callback: (message: ChatMessage) => void): void {
    this.socket?.on('new_message', callback);
  }

  onceTagUpdated(callback: (tags: string[]) => void): void {
    this.socket?.once('tag_updated', ({ tags }: { tags: string[] }) => callback(tags));
  }

  updateTags(chat_id: string, tags: string[]): void {
    this.socket?.emit('update_tags', { chat_id, tags });
  }

  typing(chat_id: string): void {
    this.socket?.volatile.emit('mark_read', { chat_id });
  }

  disconnect(): void {
    this.socket?.disconnect();
  }
}
