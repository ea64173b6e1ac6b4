/** Names that the servers and their subscribers agree on. All topics' names are equally long. */
export const event = 'tick';
export const topicName = (index: number): string => `bench:${String(index).padStart(6, '0')}`;
