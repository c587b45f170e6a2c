"""Ray's page "Out-of-band Communication": actors talk to each other by sockets too."""

import socket
import threading

import ray

ray.init(num_cpus=2)


@ray.remote
class Server:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            with connection:
                connection.sendall(connection.recv(100).upper())

    def address(self):
        return self.listener.getsockname()


@ray.remote
class Client:
    def ask(self, address, text):
        with socket.create_connection(address) as connection:
            connection.sendall(text)
            return connection.recv(100)


server = Server.remote()
address = ray.get(server.address.remote())
assert ray.get(Client.remote().ask.remote(address, b"hello")) == b"HELLO"
with socket.create_connection(address) as connection:
    connection.sendall(b"driver")
    assert connection.recv(100) == b"DRIVER"

print("done")
