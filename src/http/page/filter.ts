/** What a person types to see less: words that must all be there, and none of those with a minus before them. */
export function filterOf(typed: string): (text: string) => boolean {
  const words = typed.toLowerCase().split(/\s+/);
  const wanted = words.filter((word) => word !== '' && !word.startsWith('-'));
  const unwanted = words.filter((word) => /^-./.test(word)).map((word) => word.slice(1));
  return (text) => {
    const low = text.toLowerCase();
    return wanted.every((word) => low.includes(word)) && !unwanted.some((word) => low.includes(word));
  };
}
