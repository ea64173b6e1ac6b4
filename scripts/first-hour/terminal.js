// The same front end without a browser: node terminal.js USER ROOM
import { openInbox } from './inbox.js';

const [, , user, room] = process.argv;
const body = JSON.stringify({ user });
const answer = await globalThis.fetch(`http://127.0.0.1:${process.env.BACKEND_PORT}/login`, { method: 'POST', body });
openInbox({ ...(await answer.json()), room, say: console.log });
