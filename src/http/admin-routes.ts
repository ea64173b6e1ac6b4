/** For administrators, who hold an API key: what the server holds, how topics stand, why an event did not arrive. */
import * as v from 'valibot';
import type { PluginHost } from '../server/api.js';
import { Drained, Edges, Nodes, Stats, Topic, Why } from '../protocol/http-answers.js';
import { HttpError } from './problem.js';
import { answering, WholeNumber, type Route } from './route.js';

const Name = v.string();
/** Over which drained clients come again, unless asked otherwise, and at most. */
const SPREAD_MS = 2_000;
const MOST_SPREAD_MS = 600_000;

export function adminRoutes(server: PluginHost): Route[] {
  return [
    answering({
      method: 'GET',
      path: '/api/stats',
      id: 'getStats',
      summary: 'What the server holds now.',
      for: 'admins',
      answer: { description: 'counts', schema: Stats },
      handle: () => server.stats(),
    }),
    answering({
      method: 'GET',
      path: '/api/edges',
      id: 'listEdges',
      summary: 'The processes that carry connections for this server.',
      for: 'admins',
      answer: { description: 'none where it carries them itself', schema: Edges },
      handle: () => ({ edges: server.edges() }),
    }),
    answering({
      method: 'GET',
      path: '/api/nodes',
      id: 'listNodes',
      summary: 'The nodes of the cluster, as the hub last heard of them.',
      for: 'admins',
      answer: { description: 'none where there is no cluster', schema: Nodes },
      handle: () => ({ nodes: server.nodes() }),
    }),
    answering({
      method: 'POST',
      path: '/api/edges/:edge/drain',
      id: 'drainEdge',
      summary: 'Sends the clients of an edge elsewhere; it takes no more connections.',
      for: 'admins',
      params: { edge: Name },
      query: { spreadMs: v.optional(WholeNumber) },
      answer: { description: 'how many clients were told', schema: Drained },
      problems: [404],
      handle({ params, query: { spreadMs = SPREAD_MS } }) {
        const told = server.edges().find(({ name }) => name === params.edge)?.connections ?? 0;
        if (!server.drainEdge(params.edge, Math.min(spreadMs, MOST_SPREAD_MS)))
          throw new HttpError(404, 'no such edge');
        return { told };
      },
    }),
    answering({
      method: 'GET',
      path: '/api/topics/:topic',
      id: 'inspectTopic',
      summary: 'How a topic stands: who is in it, who is behind, its latest publishes.',
      for: 'admins',
      params: { topic: Name },
      answer: { description: 'the topic; one that is not there says so', schema: Topic },
      handle: ({ params }) => server.inspect(params.topic),
    }),
    answering({
      method: 'GET',
      path: '/api/topics/:topic/why',
      id: 'explainDelivery',
      summary: 'Why a user or session did or did not get an event.',
      for: 'admins',
      params: { topic: Name },
      query: { offset: WholeNumber, user: v.optional(Name), session: v.optional(Name) },
      answer: { description: 'a verdict with a sentence', schema: Why },
      handle({ params, query: { offset, user, session: sid } }) {
        const who = sid ?? user;
        if (who === undefined) throw new HttpError(400, 'ask with ?offset=N&user=ID or &session=SID');
        return server.why(params.topic, offset, who);
      },
    }),
  ];
}
