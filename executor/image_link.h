#pragma once

// What ties a state to the image of it that is open, so that either may go first. The state asks it
// before every change: without an image that is one branch, which is always taken the same way.

namespace epaxos::executor {

class LiveImage;

class ImageLink {
 public:
  ImageLink() = default;
  ImageLink(const ImageLink&) = delete;
  ImageLink& operator=(const ImageLink&) = delete;
  /// The state is replaced by another: neither's image goes on, as both have changed.
  ImageLink& operator=(ImageLink&& other) noexcept {
    close();
    other.close();
    return *this;
  }
  ~ImageLink() { close(); }

  /// Null: there is none, or it was read to its end.
  [[nodiscard]] LiveImage* get() const { return image_; }
  /// The image cannot be read any more.
  void close();

 private:
  friend class LiveImage;

  LiveImage* image_ = nullptr;
};

}  // namespace epaxos::executor
