// The small pages in a real browser: what a reviewer does with the link that a button in chat gave them, and what another site cannot.
import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Chromium, type ChromiumPage, type Watched } from '../support/chromium.ts'
import { CHANNEL, SLACK_IDS, SlackHouse, type Person } from '../support/slack/slack-house.ts'

let house: SlackHouse
let chromium: Chromium
beforeAll(async () => {
  ;[house, chromium] = await Promise.all([SlackHouse.open('http'), Chromium.start()])
})
afterAll(async () => {
  await chromium?.[Symbol.asyncDispose]()
  await house?.[Symbol.asyncDispose]()
})

const codeOf = async (person: Person): Promise<string> => (await house.accounts[person].authenticator?.code()) ?? ''
const stateOf = async (id: string): Promise<string> => (await house.sallyport.api.showRequest({ params: { id } })).state

/** Where the Approve or Deny of a message leads when a second factor is due. */
async function pageBehind(label: 'Approve' | 'Deny', id: string): Promise<string> {
  await house.pressForDialog('bob', await house.shown('bob', id), label)
  const view = JSON.stringify(house.slack.workspace.viewOf(SLACK_IDS.bob)?.view)
  const url = /https:\/\/[^"\s]+\/confirm\/[\w-]+/.exec(view)?.[0]
  if (url === undefined) throw new Error(`no page in ${view}`)
  return url
}

/** Nothing is wider than the window, and every field has a name that can be read out. */
async function expectUsable({ page, complaints }: Watched): Promise<void> {
  expect(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')).toBe(0)
  for (const field of await page.locator('input:not([type=hidden]), textarea, select').all())
    expect(await field.evaluate((element) => (element as { labels?: { length: number } }).labels?.length)).toBe(1)
  expect(await page.locator('html').getAttribute('lang')).toBe('en')
  expect(complaints).toEqual([])
}

async function openPage(url: string, width = 1280): Promise<Watched & { page: ChromiumPage }> {
  const watched = await chromium.open({ width, height: 800 })
  await watched.page.goto(url)
  return watched
}

test('an account is linked on the page that the code leads to; a wrong password is said and can be corrected', async () => {
  await house.slack.command(SLACK_IDS.carol, CHANNEL, 'unlink')
  const said = await house.slack.command(SLACK_IDS.carol, CHANNEL, 'link')
  const url = /https:\/\/[^"\s]+\/link\/[a-z0-9-]+/.exec(said.body)?.[0] ?? ''
  const opened = await openPage(url, 390)
  await expectUsable(opened)
  const { page } = opened
  const sign = async (password: string): Promise<void> => {
    await page.getByLabel('Your name').fill('carol')
    await page.getByLabel('Password').fill(password)
    await page.getByLabel(/^Code/).fill(await codeOf('carol'))
    await page.getByRole('button', { name: 'Link it with me' }).click()
  }
  await sign('not the password')
  await expect.poll(() => page.getByRole('alert').textContent()).toContain('Wrong name')
  expect(await page.getByLabel('Your name').inputValue()).toBe('carol')
  await sign(house.accounts.carol.password)
  await expect.poll(() => page.textContent('h1')).toBe('The account is linked')
  const accounts = await house.accounts.carol.sally('chat', 'accounts', '--format=json')
  expect(JSON.parse(accounts.stdout)).toMatchObject([{ user: 'carol', externalId: SLACK_IDS.carol }])
})

test('a reviewer approves on the page: a wrong code keeps what was typed, the right one counts', async () => {
  const id = await house.ask('dba', 'ticket 4711: slow query')
  const opened = await openPage(await pageBehind('Approve', id), 390)
  await expectUsable(opened)
  const { page } = opened
  expect(await page.textContent('body')).toContain('ticket 4711: slow query')
  await page.getByLabel(/^Reason/).fill('looks right')
  await page.getByLabel(/^Duration/).fill('20m')
  await page.getByLabel(/^Code/).fill('000000')
  await page.getByRole('button', { name: 'Approve' }).click()
  await expect.poll(() => page.locator('#code-wrong').textContent()).toBeTruthy()
  expect(await stateOf(id)).toBe('pending')
  expect(await page.getByLabel(/^Reason/).inputValue()).toBe('looks right')
  expect(await page.getByLabel(/^Duration/).inputValue()).toBe('20m')
  await page.getByLabel(/^Code/).fill(await codeOf('bob'))
  await page.keyboard.press('Enter')
  await expect.poll(() => page.textContent('h1')).toBe('You approved it')
  expect(await house.sallyport.api.showRequest({ params: { id } })).toMatchObject({
    state: 'approved',
    grantedDuration: 1_200_000,
    reviews: [{ reviewer: 'bob', reason: 'looks right' }],
  })
})

test('the page of a request decides for who signs in there, and going back and sending again does not', async () => {
  const id = await house.ask('ops', 'from a mail')
  const opened = await openPage(`https://127.0.0.1:${house.sallyport.port}/r/${id}`, 390)
  await expectUsable(opened)
  const { page } = opened
  expect(await page.textContent('body')).not.toContain('from a mail')
  await page.getByLabel('Your name').fill('carol')
  await page.getByLabel('Password').fill(house.accounts.carol.password)
  await page.getByLabel(/^Code/).fill(await codeOf('carol'))
  await page.keyboard.press('Enter')
  await expect.poll(() => page.textContent('h1')).toContain('alice')
  await expectUsable(opened)
  expect(await page.textContent('body')).toContain('from a mail')
  // Nothing is chosen: the browser itself does not send it.
  await page.getByRole('button', { name: 'Send your vote' }).click()
  expect(await stateOf(id)).toBe('pending')
  await page.getByLabel('Deny').check()
  await page.getByLabel(/^Reason/).fill('not today')
  await page.getByRole('button', { name: 'Send your vote' }).click()
  await expect.poll(() => page.textContent('h1')).toBe('You denied it')
  expect(await house.sallyport.api.showRequest({ params: { id } })).toMatchObject({
    ...{ state: 'denied', reviews: [{ reviewer: 'carol', decision: 'deny', reason: 'not today' }] },
  })
  await page.goBack({ waitUntil: 'commit' }).catch(() => null)
  expect(await page.textContent('body')).not.toContain('Send your vote')
})

test('another site can neither send the form for a reviewer nor show the page in a frame', async () => {
  const id = await house.ask('dba', 'asked from afar')
  const url = await pageBehind('Approve', id)
  const { page } = await openPage(url)
  const code = await codeOf('bob')
  await using evil = await otherSite(
    `<form method="post" action="${url}"><input name="code" value="${code}"></form><iframe src="${url}"></iframe>
     <button onclick="document.forms[0].submit()">Win a prize</button>`,
  )
  await page.goto(evil.url)
  const frame = page.frames().find((each) => each !== page.mainFrame())
  expect(await frame?.content()).not.toContain('asked from afar')
  await page.getByRole('button', { name: 'Win a prize' }).click()
  await expect.poll(() => page.url()).toBe(url)
  expect(await page.textContent('body')).toContain('form')
  expect(await stateOf(id)).toBe('pending')
})

test('two pages that are open side by side both work', async () => {
  const [first, second] = [await house.ask('dba', 'first of two'), await house.ask('dba', 'second of two')]
  const { page } = await openPage(await pageBehind('Deny', first))
  const other = await page.context().newPage()
  await other.goto(await pageBehind('Deny', second))
  for (const each of [page, other]) {
    await each.getByLabel(/^Code/).fill(await codeOf('bob'))
    await each.getByRole('button', { name: 'Deny' }).click()
    await expect.poll(() => each.textContent('h1')).toBe('You denied it')
  }
  expect([await stateOf(first), await stateOf(second)]).toEqual(['denied', 'denied'])
})

async function otherSite(body: string): Promise<AsyncDisposable & { readonly url: string }> {
  const server: Server = createServer((_request, answer) => {
    answer.setHeader('content-type', 'text/html')
    answer.end(`<!doctype html><title>A prize</title>${body}`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    // By another name than the daemon's, so that it is another site for cookies too.
    url: `http://localhost:${port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
