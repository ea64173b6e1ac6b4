/** Short messages in the corner that go by themselves. */
import { createContext, useCallback, useContext, useState, type ReactNode } from 'react';

const SHOWN_MS = 6_000;
const Context = createContext<(text: string) => void>(() => undefined);

export const useNotice = (): ((text: string) => void) => useContext(Context);

export function Notices({ children }: { readonly children: ReactNode }) {
  const [shown, setShown] = useState<readonly { readonly id: number; readonly text: string }[]>([]);
  const notice = useCallback((text: string) => {
    const id = performance.now();
    setShown((before) => [...before.slice(-3), { id, text }]);
    setTimeout(() => setShown((before) => before.filter((one) => one.id !== id)), SHOWN_MS);
  }, []);
  return (
    <Context.Provider value={notice}>
      {children}
      <div className="notices" role="status">
        {shown.map(({ id, text }) => (
          <p key={id} data-testid="notice">
            {text}
          </p>
        ))}
      </div>
    </Context.Provider>
  );
}
