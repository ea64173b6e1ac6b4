/** A field for JSON: what is wrong with it is said at the field, by the browser's own means. */

/** Undefined when it is no JSON, which the field then says. Empty is null. */
export function jsonIn(field: HTMLTextAreaElement): unknown {
  const text = field.value.trim();
  try {
    return text === '' ? null : (JSON.parse(text) as unknown);
  } catch (error) {
    field.setCustomValidity(`This is not JSON: ${(error as Error).message}`);
    field.reportValidity();
    field.addEventListener('input', () => field.setCustomValidity(''), { once: true });
    return undefined;
  }
}
