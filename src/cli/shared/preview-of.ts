import { ApiError } from '../../contract/api-error.ts'
import type { Client } from '../../contract/client.ts'
import type { RequestPreview } from '../../contract/request-preview.ts'
import type { AccessRequest } from '../../contract/request.ts'

/** What a reviewer looks at. Null once it is decided, and from a daemon of the version before, which has none. */
export async function previewOf(api: Client, { id, state }: AccessRequest): Promise<RequestPreview | null> {
  if (state !== 'pending') return null
  try {
    return await api.previewRequest({ params: { id } })
  } catch (error) {
    if (error instanceof ApiError && error.code === 'not_found') return null
    throw error
  }
}
