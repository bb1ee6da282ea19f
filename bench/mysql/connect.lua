-- Each event is a connection of its own: TLS, sign-in, one select, goodbye.
function thread_init()
  driver = sysbench.sql.driver()
end

function event()
  local connection = driver:connect()
  connection:query("select 1")
  connection:disconnect()
end
