/** As the server words a refusal. */
export class ApiError extends Error {
  readonly status: number
  readonly id: string

  constructor(status: number, id: string, message: string) {
    super(message)
    this.status = status
    this.id = id
  }
}

export const badRequest = (id: string, message: string): ApiError => new ApiError(400, id, message)
export const forbidden = (id = 'api.context.permissions.app_error'): ApiError =>
  new ApiError(403, id, 'You do not have the appropriate permissions.')
export const notFound = (id: string): ApiError => new ApiError(404, id, 'Unable to find it.')
