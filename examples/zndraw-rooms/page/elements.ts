/** What atoms look like, by atomic number, and how .xyz files name them. */
const SYMBOLS =
  'H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi'.split(
    ' ',
  );

const COLORS: Readonly<Record<number, string>> = {
  1: '#e8edf0',
  6: '#5b6a78',
  7: '#4f7bd8',
  8: '#e2574c',
  11: '#9b6bd6',
  14: '#d9b77e',
  16: '#e8c53c',
  17: '#56b870',
  26: '#d8763a',
  29: '#cf8152',
  79: '#e3b83f',
};

/** 0: there is none. */
export const numberOf = (symbol: string): number => SYMBOLS.indexOf(symbol) + 1;
export const colorOf = (number: number): string => COLORS[number] ?? `hsl(${(number * 47) % 360} 45% 58%)`;
/** In the unit of the positions. */
export const sizeOf = (number: number): number => (number === 1 ? 0.28 : number < 11 ? 0.42 : 0.55);
