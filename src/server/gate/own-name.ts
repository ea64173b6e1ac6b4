/** The probe's user and topic begin with this; no token may name it, and the policy knows no such topic. */
export const OWN_PREFIX = '$probe';
