/** Roles that reach production are called `prod-...` here. */
export const isProduction = (role: string): boolean => role.startsWith('prod-')
